/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/mime_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Content-Transfer-Encoding by its name. */
static enum cte
cte_parse(const struct hdr *hdr)
{
	static const char *const names[] = {"7bit", "8bit", "binary", "quoted-printable", "base64"};
	static const enum cte ctes[] = {CTE_7BIT, CTE_8BIT, CTE_BINARY, CTE_QP, CTE_BASE64};
	const char *p = hdr->value + strspn(hdr->value, " \t\r\n");
	size_t len = strcspn(p, " \t\r\n;(");

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (len == strlen(names[i]) && strncasecmp(p, names[i], len) == 0)
			return ctes[i];
	return CTE_OTHER;
}

/* Sets the type that an entity has without a (good) Content-Type. */
static enum rc
set_default_type(struct entity *entity, struct err *err)
{
	const struct entity *parent = entity->parent;
	bool digest =
		!entity->has_ctype && parent && strcmp(parent->ctype.type, "multipart/digest") == 0;

	entity->ctype.type = strdup(digest ? "message/rfc822" : "text/plain");
	return entity->ctype.type ? RC_OK : err_set(err, ERR_MEMORY, "body part");
}

bool
mime_has_two_boundaries(const struct ctype *ctype)
{
	const char *first = ctype_param(ctype, "boundary");

	for (size_t i = 0; first && i < ctype->n; i++)
		if (strcmp(ctype->params[i].name, "boundary") == 0 &&
			strcmp(ctype->params[i].value, first) != 0)
			return true;
	return false;
}

/* Keeps the name of the file that the part wants to be. A damaged disposition says nothing. */
static enum rc
set_filename(struct entity *entity, const struct hdrs *hdrs, struct err *err)
{
	const struct hdr *hdr = hdrs_find(hdrs, "Content-Disposition", 0);
	struct ctype disposition = {.type = NULL};
	struct err damage = ERR_INIT;
	const char *name = NULL;
	enum rc rc = hdr ? ctype_parse(hdr->value, hdr->value_len, &disposition, &damage) : RC_OK;

	if (rc == RC_TEMP || damage.code == ERR_LIMIT)
		return err_set(err, damage.code, "Content-Disposition: %s", damage.detail);
	if (rc == RC_OK && hdr)
		name = ctype_param(&disposition, "filename");
	if (!name)
		name = ctype_param(&entity->ctype, "name");
	rc = RC_OK;
	if (name) {
		entity->filename = strdup(name);
		rc = entity->filename ? RC_OK : err_set(err, ERR_MEMORY, "body part");
	}
	ctype_fini(&disposition);
	return rc;
}

enum rc
mime_set_type(struct entity *entity, const struct hdrs *hdrs, struct err *err)
{
	const struct hdr *hdr = hdrs_find(hdrs, "Content-Type", 0);
	struct err damage = ERR_INIT;
	enum rc rc = RC_PERM;

	entity->has_ctype = hdr != NULL;
	if (hdr)
		rc = ctype_parse(hdr->value, hdr->value_len, &entity->ctype, &damage);
	if (rc == RC_TEMP || damage.code == ERR_LIMIT)
		return err_set(err, damage.code, "Content-Type: %s", damage.detail);
	if (rc == RC_OK && !strchr(entity->ctype.type, '/')) {
		ctype_fini(&entity->ctype);
		rc = RC_PERM;
	}
	if (hdr && (rc != RC_OK || hdrs_count(hdrs, "Content-Type") > 1 ||
			   mime_has_two_boundaries(&entity->ctype)))
		entity->flags |= MIME_BAD_TYPE;
	if (hdr && rc == RC_OK && strcmp(entity->ctype.type, "multipart/signed") == 0 &&
		!ctype_is_clear(hdr->value, hdr->value_len))
		entity->flags |= MIME_VAGUE_TYPE;
	for (size_t i = 0; (hdr = hdrs_find(hdrs, "Content-Transfer-Encoding", i)); i++)
		entity->cte = i == 0 || cte_parse(hdr) == entity->cte ? cte_parse(hdr) : CTE_OTHER;
	if (rc != RC_OK)
		rc = set_default_type(entity, err);
	return rc == RC_OK ? set_filename(entity, hdrs, err) : rc;
}
