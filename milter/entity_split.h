/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * entity_split.h - a sink that cuts an entity into its header fields and its body
 *
 * Takes what was decrypted or taken out of a signature. Lines that end in a bare LF get CRLF, as
 * they will have in the mail. What is no MIME entity is refused: bytes that somebody made up by
 * changing ciphertext hardly ever begin with header fields.
 */
#ifndef MILTER_ENTITY_SPLIT_H
#define MILTER_ENTITY_SPLIT_H

#include "message/mime.h"

#define ENTITY_HEADER_MAX (256u << 10)
#define ENTITY_FIELD_MAX  32768u /* a field has to fit into a milter's packet */
#define ENTITY_FIELDS_MAX 100

struct inner { /* an entity by itself */
	struct hdrs hdrs;
	struct spool *body;
	struct entity *root;
};
void inner_fini(struct inner *inner);

struct entity_split;
/* EXPECTED: bytes of it, about; 0: not known. */
enum rc entity_split_new(const struct spool_conf *conf, uint64_t expected,
	struct entity_split **out, struct err *err);
struct sink entity_split_sink(struct entity_split *split);
/* After all was fed; RC_PERM, ERR_MSG_MALFORMED when it is no entity. */
enum rc entity_split_take(struct entity_split *split, struct inner *out, struct err *err);
void entity_split_free(struct entity_split **split);

#endif
