/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_format.h"

#include "base/json.h"
#include "crypto/digest.h"
#include "keystore/ledger_pseudonym.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LEDGER_LINE_FIXED 256 /* a line without its node and body, at most */

static const char *const type_names[LEDGER_TYPES] = {
	[LEDGER_OPEN] = "open",
	[LEDGER_EPOCH] = "epoch",
	[LEDGER_CHECKPOINT] = "checkpoint",
	[LEDGER_RECOVERED] = "recovered",
	[LEDGER_INTENT] = "intent",
	[LEDGER_OUTCOME] = "outcome",
	[LEDGER_DENIED] = "denied",
	[LEDGER_DECISION] = "decision",
	[LEDGER_ADMIN] = "admin",
};

const char *
ledger_type_name(enum ledger_type type)
{
	return (unsigned)type < LEDGER_TYPES ? type_names[type] : "unknown";
}

bool
ledger_is_hash(const char *text, size_t len)
{
	if (len != LEDGER_HASH_SIZE - 1)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
	return true;
}

/* Is NODE's run of LEN bytes one that needs no quoting anywhere? */
static bool
node_ok(const char *node, size_t len)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

	if (!len || len > LEDGER_MAX_NODE)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!memchr(allowed, node[i], sizeof allowed - 1))
			return false;
	return true;
}

bool
ledger_node_ok(const char *node)
{
	return node && node_ok(node, strlen(node));
}

bool
ledger_unhex(const char *hex, unsigned char *out, size_t size, size_t *len)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = strlen(hex);

	if (n % 2 || n / 2 > size)
		return false;
	for (size_t i = 0; i < n; i++) {
		const char *d = memchr(digits, hex[i], 16);

		if (!d)
			return false;
		out[i / 2] = (unsigned char)(i % 2 ? out[i / 2] | (d - digits) : (d - digits) << 4);
	}
	*len = n / 2;
	return true;
}

enum rc
ledger_hash(const void *data, size_t len, char out[LEDGER_HASH_SIZE], struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char value[DIGEST_MAX_SIZE];
	enum rc rc = digest_bytes(DIGEST_SHA256, data, len, value, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < SHA256_SIZE; i++) {
		out[2 * i] = digits[value[i] >> 4];
		out[2 * i + 1] = digits[value[i] & 15];
	}
	out[LEDGER_HASH_SIZE - 1] = '\0';
	return RC_OK;
}

/* Steps over TEXT; false when something else stands there. */
static bool
skip(const char **p, const char *end, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(end - *p) < len || memcmp(*p, text, len) != 0)
		return false;
	*p += len;
	return true;
}

/* A number without sign and leading zeros. */
static bool
number(const char **p, const char *end, uint64_t *out)
{
	const char *start = *p;
	uint64_t n = 0;

	for (; *p < end && **p >= '0' && **p <= '9'; ++*p) {
		if (n > (UINT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (uint64_t)(**p - '0');
	}
	*out = n;
	return *p > start && (*start != '0' || *p == start + 1);
}

/* "2026-11-21T22:14:03.123456Z" and nothing else: 27 characters. */
static bool
time_ok(const char *p)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";

	for (size_t i = 0; i < sizeof shape - 1; i++)
		if (shape[i] == 'd' ? p[i] < '0' || p[i] > '9' : p[i] != shape[i])
			return false;
	return true;
}

/* The word up to the next quote. */
static bool
word(const char **p, const char *end, const char **out, size_t *len)
{
	const char *quote = memchr(*p, '"', (size_t)(end - *p));

	if (!quote)
		return false;
	*out = *p;
	*len = (size_t)(quote - *p);
	*p = quote + 1;
	return true;
}

/* A string with the escapes that the writer makes; *P stands behind the first quote. */
static bool
skip_string(const char **p, const char *end)
{
	for (; *p < end && (unsigned char)**p >= ' '; ++*p) {
		if (**p == '"') {
			++*p;
			return true;
		}
		if (**p == '\\') {
			++*p;
			if (*p == end || !memchr("\"\\u", **p, 3))
				return false;
		}
	}
	return false;
}

static bool skip_members(const char **p, const char *end, unsigned depth);

/* A list of strings; *P stands behind the bracket. */
static bool
skip_list(const char **p, const char *end)
{
	if (skip(p, end, "]"))
		return true;
	do {
		if (!skip(p, end, "\"") || !skip_string(p, end))
			return false;
	} while (skip(p, end, ","));
	return skip(p, end, "]");
}

/* A value as the writer makes it: no blanks, whole numbers, lists of strings. */
static bool
skip_value(const char **p, const char *end, unsigned depth)
{
	uint64_t n;

	if (skip(p, end, "\""))
		return skip_string(p, end);
	if (skip(p, end, "{"))
		return depth && (skip(p, end, "}") || skip_members(p, end, depth - 1));
	if (skip(p, end, "["))
		return skip_list(p, end);
	if (skip(p, end, "true") || skip(p, end, "false"))
		return true;
	(void)skip(p, end, "-");
	return number(p, end, &n);
}

/* "name":value,… up to and over the closing brace. */
static bool
skip_members(const char **p, const char *end, unsigned depth)
{
	do {
		if (!skip(p, end, "\"") || !skip_string(p, end) || !skip(p, end, ":") ||
			!skip_value(p, end, depth))
			return false;
	} while (skip(p, end, ","));
	return skip(p, end, "}");
}

bool
ledger_line_parse(const char *line, size_t len, struct ledger_line *out)
{
	const char *p = line, *end = line + len, *type;
	size_t n;

	memset(out, 0, sizeof *out);
	if (len < 2 || len > LEDGER_MAX_LINE || end[-1] != '\n' || end[-2] != '}')
		return false;
	if (!skip(&p, end, "{\"v\":1,\"seq\":") || !number(&p, end, &out->seq) ||
		!skip(&p, end, ",\"prev\":\"") || !word(&p, end, &out->prev, &n) ||
		!ledger_is_hash(out->prev, n) || !skip(&p, end, ",\"time\":\"") ||
		!word(&p, end, &out->time, &n) || n != 27 || !time_ok(out->time) ||
		!skip(&p, end, ",\"node\":\"") || !word(&p, end, &out->node, &out->node_len) ||
		!node_ok(out->node, out->node_len) || !skip(&p, end, ",\"type\":\"") ||
		!word(&p, end, &type, &n))
		return false;
	for (int i = 0; i < LEDGER_TYPES; i++) {
		if (strlen(type_names[i]) == n && memcmp(type_names[i], type, n) == 0) {
			out->type = (enum ledger_type)i;
			return skip(&p, end, "}\n")
				       ? p == end
				       : skip(&p, end, ",") && skip_members(&p, end, 2) &&
						 skip(&p, end, "\n") && p == end;
		}
	}
	return false;
}

/* Copies TEXT to P; gives its end. */
static char *
copy_text(char *p, const char *text, size_t len)
{
	memcpy(p, text, len);
	return p + len;
}

#define COPY(p, literal) copy_text(p, literal, sizeof(literal) - 1)

/* N in decimal at P; gives its end. */
static char *
copy_number(char *p, uint64_t n)
{
	char digits[20];
	size_t i = sizeof digits;

	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	return copy_text(p, digits + i, sizeof digits - i);
}

/* There are as many of these as uses of keys, so they are put together by hand. */
enum rc
ledger_line_format(struct buf *out, const struct ledger_prefix *prefix, const char *body,
	size_t body_len, struct err *err)
{
	char time[CLOCK_TEXT_SIZE];
	const char *type = ledger_type_name(prefix->type);
	size_t node_len = strlen(prefix->node);
	enum rc rc = buf_reserve(out, LEDGER_LINE_FIXED + node_len + body_len, err);
	char *p;

	if (rc)
		return rc;
	p = out->data + out->len;
	p = COPY(p, "{\"v\":1,\"seq\":");
	p = copy_number(p, prefix->seq);
	p = COPY(p, ",\"prev\":\"");
	p = copy_text(p, prefix->prev, LEDGER_HASH_SIZE - 1);
	p = COPY(p, "\",\"time\":\"");
	(void)clock_format_us(prefix->time_us, time);
	p = copy_text(p, time, strlen(time));
	p = COPY(p, "\",\"node\":\"");
	p = copy_text(p, prefix->node, node_len);
	p = COPY(p, "\",\"type\":\"");
	p = copy_text(p, type, strlen(type));
	p = COPY(p, "\"");
	if (body_len > 2) { /* more than "{}": its members follow */
		p = COPY(p, ",");
		p = copy_text(p, body + 1, body_len - 2);
	}
	p = COPY(p, "}\n");
	*p = '\0';
	out->len = (size_t)(p - out->data);
	return RC_OK;
}

bool
ledger_needs_period(const struct ledger_record *record)
{
	const struct vault_claim *claim = record->claim;

	return record->subject ||
	       (claim && (claim->sender || claim->identity || claim->n_recipients));
}

/* ADDR as a pseudonym; nothing for NULL. */
static enum rc
put_pseudonym(struct json *json, const char *name, struct pseudonyms *pseudonyms, const char *addr,
	struct err *err)
{
	char text[LEDGER_PSEUDONYM_SIZE];
	enum rc rc;

	if (!addr)
		return RC_OK;
	rc = pseudonyms_get(pseudonyms, addr, text, err);
	if (rc == RC_OK)
		json_str(json, name, text);
	return rc;
}

/* What the vault saw; an empty object when it saw nothing. */
static void
put_observed(struct json *json, const struct ledger_observed *observed)
{
	json_object(json, "observed");
	json_str(json, "key", observed->key);
	json_str(json, "fingerprint", observed->fingerprint);
	json_str(json, "rinfo", observed->rinfo);
	if (observed->digest) {
		json_str(json, "alg", observed->digest_name);
		json_str(json, "digest", observed->digest);
	}
	json_str(json, "service", observed->service);
	if (observed->uid >= 0)
		json_int(json, "uid", observed->uid);
	if (observed->pid > 0)
		json_int(json, "pid", observed->pid);
	json_object_end(json);
}

/* What the service said, addresses as pseudonyms. */
static enum rc
put_claim(struct json *json, const struct vault_claim *claim, struct pseudonyms *pseudonyms,
	struct err *err)
{
	size_t n = claim->n_recipients < LEDGER_MAX_RCPTS ? claim->n_recipients : LEDGER_MAX_RCPTS;
	enum rc rc;

	json_object(json, "claimed");
	json_str(json, "qid", claim->qid);
	json_str(json, "rule", claim->rule);
	rc = put_pseudonym(json, "sender", pseudonyms, claim->sender, err);
	if (rc == RC_OK)
		rc = put_pseudonym(json, "identity", pseudonyms, claim->identity, err);
	if (n)
		json_array(json, "recipients");
	for (size_t i = 0; i < n && rc == RC_OK; i++)
		rc = put_pseudonym(json, NULL, pseudonyms, claim->recipients[i], err);
	if (n)
		json_array_end(json);
	if (n < claim->n_recipients)
		json_int(json, "unlisted", (int64_t)(claim->n_recipients - n));
	json_object_end(json);
	return rc;
}

/* One member of a detail; only what is flat. */
static enum rc
put_member(struct json *json, const char *name, const struct json_value *value, struct err *err)
{
	switch (json_type(value)) {
	case JSON_STRING:
		json_str(json, name, json_text(value));
		return RC_OK;
	case JSON_INT:
		json_int(json, name, json_number(value, 0));
		return RC_OK;
	case JSON_BOOL:
		json_bool(json, name, json_is_true(value));
		return RC_OK;
	default:
		return err_set(err, ERR_USAGE, "ledger detail: %s is not flat", name);
	}
}

/* Written anew from the parsed text, so that no line end or doubled name comes in from outside. */
static enum rc
put_detail(struct json *json, const char *detail, struct err *err)
{
	struct json_value *value = NULL;
	struct err why = ERR_INIT;
	size_t len = strlen(detail);
	enum rc rc;

	if (len > LEDGER_MAX_DETAIL)
		return err_set(err, ERR_LIMIT, "ledger detail of %zu bytes", len);
	rc = json_parse(detail, len, &value, &why);
	if (rc == RC_PERM)
		return err_set(err, ERR_USAGE, "ledger detail is no JSON within the limits");
	if (rc)
		return err_set(err, why.code, "%s", why.detail);
	if (json_type(value) != JSON_OBJECT)
		rc = err_set(err, ERR_USAGE, "ledger detail is no object");
	json_object(json, "detail");
	for (size_t i = 0; rc == RC_OK && i < json_count(value); i++)
		rc = put_member(json, json_key_at(value, i), json_at(value, i), err);
	json_object_end(json);
	json_free(&value);
	return rc;
}

enum rc
ledger_body_record(struct buf *out, const struct ledger_record *record,
	struct pseudonyms *pseudonyms, struct err *err)
{
	struct json json;
	enum rc rc = RC_OK;

	if (record->type < LEDGER_INTENT || record->type >= LEDGER_TYPES || !record->event ||
		(record->type == LEDGER_OUTCOME) != (record->intent != 0))
		return err_set(err, ERR_USAGE, "not a record that can be appended");
	if (ledger_needs_period(record) && (!pseudonyms || !pseudonyms->key))
		return err_set(err, ERR_LEDGER, "no pseudonym key");
	json_init(&json, out);
	json_object(&json, NULL);
	json_str(&json, "event", record->event);
	if (record->intent)
		json_int(&json, "intent", (int64_t)record->intent);
	json_str(&json, "reason", record->reason);
	if (ledger_needs_period(record))
		json_str(&json, "period", pseudonyms->period);
	rc = put_pseudonym(&json, "subject", pseudonyms, record->subject, err);
	put_observed(&json, &record->observed);
	if (rc == RC_OK && record->claim)
		rc = put_claim(&json, record->claim, pseudonyms, err);
	if (rc == RC_OK && record->detail)
		rc = put_detail(&json, record->detail, err);
	json_object_end(&json);
	if (rc == RC_OK && json.rc == RC_PERM)
		return err_set(err, ERR_LIMIT, "a ledger record would be too long");
	return rc == RC_OK ? json_end(&json, err) : rc;
}

/* The members that tell an epoch key. */
static void
put_epoch(struct json *json, uint64_t epoch, const char *keyid, const struct buf *spki)
{
	json_int(json, "epoch", (int64_t)epoch);
	json_str(json, "keyid", keyid);
	json_hex(json, "key", spki->data, spki->len);
}

enum rc
ledger_body_open(struct buf *out, uint64_t segment, uint64_t epoch, const char *keyid,
	const struct buf *spki, struct err *err)
{
	struct json json;

	json_init(&json, out);
	json_object(&json, NULL);
	json_str(&json, "format", LEDGER_FORMAT);
	json_int(&json, "segment", (int64_t)segment);
	put_epoch(&json, epoch, keyid, spki);
	json_object_end(&json);
	return json_end(&json, err);
}

enum rc
ledger_body_epoch(
	struct buf *out, uint64_t epoch, const char *keyid, const struct buf *spki, struct err *err)
{
	struct json json;

	json_init(&json, out);
	json_object(&json, NULL);
	put_epoch(&json, epoch, keyid, spki);
	json_object_end(&json);
	return json_end(&json, err);
}

enum rc
ledger_body_checkpoint(struct buf *out, uint64_t epoch, const char *keyid, const void *signature,
	size_t len, struct err *err)
{
	struct json json;

	json_init(&json, out);
	json_object(&json, NULL);
	json_int(&json, "epoch", (int64_t)epoch);
	json_str(&json, "keyid", keyid);
	json_hex(&json, "sig", signature, len);
	json_object_end(&json);
	return json_end(&json, err);
}

enum rc
ledger_body_recovered(struct buf *out, uint64_t segment, int64_t offset, int64_t bytes,
	const char *hash, struct err *err)
{
	struct json json;

	json_init(&json, out);
	json_object(&json, NULL);
	json_int(&json, "segment", (int64_t)segment);
	json_int(&json, "offset", offset);
	json_int(&json, "bytes", bytes);
	json_str(&json, "sha256", hash);
	json_object_end(&json);
	return json_end(&json, err);
}

enum rc
ledger_anchor_text(struct buf *out, const struct ledger_anchor *anchor, struct err *err)
{
	return buf_appendf(out, err, "sealgate-anchor:1 %s %" PRIu64 " %s %s %s", anchor->node,
		anchor->seq, anchor->hash, anchor->time, anchor->keyid);
}

enum rc
ledger_anchor_format(struct buf *out, const struct ledger_anchor *anchor, struct err *err)
{
	enum rc rc = ledger_anchor_text(out, anchor, err);

	if (rc == RC_OK)
		rc = buf_append_char(out, ' ', err);
	return rc == RC_OK ? buf_append_hex(out, anchor->signature, anchor->signature_len, err)
			   : rc;
}

/* Copies the run of non-blanks at *P to OUT and steps over the one blank that follows. */
static bool
field(const char **p, const char *end, char *out, size_t size)
{
	const char *blank = memchr(*p, ' ', (size_t)(end - *p));
	size_t len = (size_t)((blank ? blank : end) - *p);

	if (!len || len >= size || memchr(*p, '\0', len))
		return false;
	memcpy(out, *p, len);
	out[len] = '\0';
	*p += len + (blank ? 1 : 0);
	return true;
}

enum rc
ledger_anchor_parse(const char *text, size_t len, struct ledger_anchor *out, struct err *err)
{
	const char *p = text, *end = text + len, *s;
	char seq[24], signature[2 * sizeof out->signature + 1];
	bool ok;

	memset(out, 0, sizeof *out);
	ok = skip(&p, end, "sealgate-anchor:1 ") && field(&p, end, out->node, sizeof out->node) &&
	     ledger_node_ok(out->node) && field(&p, end, seq, sizeof seq) &&
	     (s = seq, number(&s, seq + strlen(seq), &out->seq)) && !*s &&
	     field(&p, end, out->hash, sizeof out->hash) && ledger_is_hash(out->hash, 64) &&
	     field(&p, end, out->time, sizeof out->time) && strlen(out->time) == 27 &&
	     time_ok(out->time) && field(&p, end, out->keyid, sizeof out->keyid) &&
	     ledger_is_hash(out->keyid, strlen(out->keyid)) &&
	     field(&p, end, signature, sizeof signature) && p == end &&
	     ledger_unhex(signature, out->signature, sizeof out->signature, &out->signature_len);
	if (!ok)
		return err_set(err, ERR_LEDGER_BROKEN, "this is no anchor");
	return RC_OK;
}
