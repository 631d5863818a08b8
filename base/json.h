/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.h - writing JSON, and reading small trees of it
 *
 * The writer puts its text into a struct buf without blanks; commas are its business.
 * The first failure sticks: check json_end once. Text that is not valid UTF-8 is written
 * with U+FFFD for each bad byte. The reader is strict (RFC 8259, no duplicate names),
 * with limits on bytes, depth and values.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

#include <stdint.h>

struct json {
	struct buf *out; /* borrowed */
	enum rc rc;      /* first failure */
	bool comma;      /* the next value needs one */
	unsigned depth;
};

void json_init(struct json *json, struct buf *out);
/* KEY is NULL inside an array and at the top. A NULL text leaves the pair out. */
void json_object(struct json *json, const char *key);
void json_object_end(struct json *json);
void json_array(struct json *json, const char *key);
void json_array_end(struct json *json);
void json_str(struct json *json, const char *key, const char *text);
void json_strn(struct json *json, const char *key, const char *text, size_t len);
void json_int(struct json *json, const char *key, int64_t n);
void json_bool(struct json *json, const char *key, bool b);
void json_null(struct json *json, const char *key);
void json_hex(struct json *json, const char *key, const void *data, size_t len);
void json_time(struct json *json, const char *key, int64_t seconds);
enum rc json_end(struct json *json, struct err *err);

/* Length of the valid UTF-8 sequence at TEXT (RFC 3629), at most LEN; 0 when it is none. */
size_t json_utf8_length(const char *text, size_t len);

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_INT,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

struct json_value; /* one tree, freed at its root */

#define JSON_MAX_BYTES   (4u << 20)
#define JSON_MAX_DEPTH   16
#define JSON_MAX_VALUES  65536
#define JSON_MAX_MEMBERS 256 /* of one object */

enum rc json_parse(const char *text, size_t len, struct json_value **out, struct err *err);
void json_free(struct json_value **value);
enum json_type json_type(const struct json_value *value);
const struct json_value *json_find(const struct json_value *object, const char *key); /* or NULL */
size_t json_count(const struct json_value *value); /* members or elements */
const struct json_value *json_at(const struct json_value *value, size_t i);
const char *json_key_at(const struct json_value *object, size_t i);
/* Strings are NUL-terminated UTF-8 without NUL inside (refused); NULL when it is no string. */
const char *json_text(const struct json_value *value);
int64_t json_number(const struct json_value *value, int64_t otherwise);
bool json_is_true(const struct json_value *value);
/* Shorthands: member KEY's text, or NULL; member KEY's number. */
const char *json_get_text(const struct json_value *object, const char *key);
int64_t json_get_int(const struct json_value *object, const char *key, int64_t otherwise);

#endif
