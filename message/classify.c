/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/classify.h"

#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	enum msg_class one;
} names[] = {
	{"plain", CLASS_PLAIN},
	{"signed", CLASS_SIGNED},
	{"enveloped", CLASS_ENVELOPED},
	{"pgp", CLASS_PGP},
	{"calendar", CLASS_CALENDAR},
	{"tnef", CLASS_TNEF},
	{"report", CLASS_REPORT},
	{"list", CLASS_LIST},
	{"auto-reply", CLASS_AUTO_REPLY},
	{"dkim-signed", CLASS_DKIM_SIGNED},
	{"dkim-own", CLASS_DKIM_OWN},
	{"reply-to-encrypted", CLASS_REPLY},
	{"opened", CLASS_OPENED},
};

unsigned
class_from_name(const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].one;
	return 0;
}

const char *
class_name(enum msg_class one)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].one == one)
			return names[i].name;
	return "unknown";
}

/* TYPE is in lower case, as the parsed one is. */
static bool
is_type(const struct entity *entity, const char *type)
{
	return strcmp(entity->ctype.type, type) == 0;
}

/* Any case; TEXT may be NULL. */
static bool
has_suffix(const char *text, const char *suffix)
{
	size_t len = text ? strlen(text) : 0, n = strlen(suffix);

	return len >= n && strcasecmp(text + len - n, suffix) == 0;
}

/* Has the parameter this value, in any case? */
static bool
param_is(const struct entity *entity, const char *name, const char *value)
{
	const char *have = ctype_param(&entity->ctype, name);

	return have && strcasecmp(have, value) == 0;
}

/* The registered type and the one before it. */
static bool
is_pkcs7_mime(const struct entity *entity)
{
	return is_type(entity, "application/pkcs7-mime") ||
	       is_type(entity, "application/x-pkcs7-mime");
}

/* A signature's part; some gateways make an octet-stream of it and leave the name. */
static bool
is_pkcs7_signature(const struct entity *entity)
{
	return is_type(entity, "application/pkcs7-signature") ||
	       is_type(entity, "application/x-pkcs7-signature") ||
	       (is_type(entity, "application/octet-stream") &&
		       has_suffix(entity->filename, ".p7s"));
}

/* multipart/signed with a PKCS#7 protocol; without one the second part's type tells. */
static bool
is_multipart_signed(const struct entity *entity)
{
	const char *protocol = ctype_param(&entity->ctype, "protocol");

	if (!is_type(entity, "multipart/signed"))
		return false;
	if (protocol && strcasecmp(protocol, "application/pgp-signature") == 0)
		return false;
	return (protocol && (strcasecmp(protocol, "application/pkcs7-signature") == 0 ||
				    strcasecmp(protocol, "application/x-pkcs7-signature") == 0)) ||
	       (entity->n > 1 && is_pkcs7_signature(entity->parts[1]));
}

enum wrapping
entity_wrapping(const struct entity *entity)
{
	if (is_multipart_signed(entity))
		return entity->n == 2 && is_pkcs7_signature(entity->parts[1])
			       ? WRAP_MULTIPART_SIGNED
			       : WRAP_NONE;
	if (entity->n > 0)
		return WRAP_NONE;
	if (is_pkcs7_mime(entity))
		return WRAP_PKCS7_MIME;
	if (is_type(entity, "application/octet-stream") && has_suffix(entity->filename, ".p7m"))
		return WRAP_PKCS7_MIME;
	return WRAP_NONE;
}

/* What a CMS object says it is, by the first bytes of its ContentInfo (RFC 5652 section 3). */
enum cms_kind { CMS_UNKNOWN, CMS_SIGNED, CMS_ENVELOPED, CMS_OTHER };

/* Reads tag, length and the object identifier; anything else is unknown. */
static enum cms_kind
kind_from_bytes(const unsigned char *p, size_t len)
{
	static const unsigned char pkcs7[] = {
		0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07};
	static const unsigned char smime_ct[] = {
		0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01};
	size_t at = len < 2 ? 2 : p[1] > 0x80 ? 2 + (p[1] & 0x7fu) : 2;

	if (len <= at + sizeof(smime_ct) || p[0] != 0x30)
		return CMS_UNKNOWN;
	if (memcmp(p + at, pkcs7, sizeof(pkcs7)) == 0) {
		unsigned char last = p[at + sizeof(pkcs7)];

		return last == 2 ? CMS_SIGNED : last == 3 ? CMS_ENVELOPED : CMS_OTHER;
	}
	if (memcmp(p + at, smime_ct, sizeof(smime_ct)) == 0)
		return p[at + sizeof(smime_ct)] == 23 ? CMS_ENVELOPED
						      : CMS_OTHER; /* authEnvelopedData */
	return CMS_UNKNOWN;
}

/* Looks at the beginning of a leaf. Damage is no error here: whoever opens it will tell. */
static enum rc
peek_kind(const struct entity *entity, struct spool *body, enum cms_kind *kind, struct err *err)
{
	struct entity start = *entity;
	struct buf bytes = BUF_INIT(4096);
	struct sink sink = sink_to_buf(&bytes);
	struct err ignored = ERR_INIT;
	enum rc rc;

	if (start.end - start.body > 512)
		start.end = start.body + 512;
	rc = entity_decode(&start, body, &sink, &ignored);
	*kind = kind_from_bytes((const unsigned char *)buf_text(&bytes), bytes.len);
	buf_fini(&bytes);
	return rc == RC_TEMP ? err_set(err, ignored.code, "%s", ignored.detail) : RC_OK;
}

/* The class of a root that is one CMS object: by its first bytes, then by what its header says. */
static enum rc
classify_cms(const struct entity *root, struct spool *body, unsigned *classes, struct err *err)
{
	enum cms_kind kind;
	enum rc rc = peek_kind(root, body, &kind, err);

	if (rc != RC_OK)
		return rc;
	if (param_is(root, "smime-type", "certs-only") || has_suffix(root->filename, ".p7c"))
		return RC_OK; /* certificates, and no content that was signed */
	if (kind == CMS_UNKNOWN && param_is(root, "smime-type", "compressed-data"))
		return RC_OK;
	if (kind == CMS_SIGNED ||
		(kind == CMS_UNKNOWN && (param_is(root, "smime-type", "signed-data") ||
						param_is(root, "smime-type", "signed-receipt"))))
		*classes |= CLASS_SIGNED;
	else if (kind != CMS_OTHER)
		*classes |= CLASS_ENVELOPED;
	return RC_OK;
}

/* A sink that looks for PGP's armour at the beginning of lines. */
struct armour_stage {
	char head[36]; /* of the line in hand */
	size_t len;    /* bytes in use */
	bool skip;     /* the line is not of interest */
	bool found;
};

/* A sink's feed; it never fails. */
static enum rc
feed_armour(void *ctx, const void *data, size_t len, struct err *err)
{
	static const char message[] = "-----BEGIN PGP MESSAGE-----";
	static const char clear[] = "-----BEGIN PGP SIGNED MESSAGE-----";
	struct armour_stage *stage = ctx;
	const char *p = data, *end = p + len;

	(void)err;
	while (p < end && !stage->found) {
		if (stage->skip) { /* to a line that begins with a dash: few bytes are one */
			const char *dash = memchr(p, '-', (size_t)(end - p));

			if (dash && (dash == p || dash[-1] != '\n')) {
				p = dash + 1;
				continue;
			}
			p = dash ? dash : end;
			stage->skip = p[-1] != '\n';
			stage->len = 0;
			continue;
		}
		if (stage->len == 0 && *p != '-') {
			stage->skip = true;
			continue;
		}
		stage->head[stage->len++] = *p++;
		stage->found = (stage->len == sizeof(message) - 1 &&
				       memcmp(stage->head, message, stage->len) == 0) ||
			       (stage->len == sizeof(clear) - 1 &&
				       memcmp(stage->head, clear, stage->len) == 0);
		if (p[-1] == '\n')
			stage->len = 0;
		else
			stage->skip = memcmp(stage->head, clear,
					      stage->len < 15 ? stage->len : 15) != 0 ||
				      stage->len == sizeof(clear) - 1;
	}
	return RC_OK;
}

/* Is there armour in this text leaf? */
static enum rc
classify_text(const struct entity *leaf, struct spool *body, unsigned *classes, struct err *err)
{
	struct armour_stage stage = {.len = 0};
	const struct sink sink = {.feed = feed_armour, .ctx = &stage};
	struct err ignored = ERR_INIT;
	enum rc rc = entity_decode(leaf, body, &sink, &ignored);

	if (stage.found)
		*classes |= CLASS_PGP;
	return rc == RC_TEMP ? err_set(err, ignored.code, "%s", ignored.detail) : RC_OK;
}

/* What the parts are; those inside of a message that came along do not count. */
static enum rc
classify_parts(const struct entity *entity, struct spool *body, bool null_sender, unsigned *classes,
	struct err *err)
{
	enum rc rc = RC_OK;

	if (is_type(entity, "text/calendar") || is_type(entity, "application/ics") ||
		has_suffix(entity->filename, ".ics"))
		*classes |= CLASS_CALENDAR;
	if (is_type(entity, "application/ms-tnef") || is_type(entity, "application/vnd.ms-tnef") ||
		(entity->filename && strcasecmp(entity->filename, "winmail.dat") == 0))
		*classes |= CLASS_TNEF;
	if (null_sender && is_type(entity, "message/delivery-status"))
		*classes |= CLASS_REPORT;
	if (strncmp(entity->ctype.type, "message/", 8) == 0)
		return RC_OK;
	if (entity->n == 0 && strncmp(entity->ctype.type, "text/", 5) == 0)
		rc = classify_text(entity, body, classes, err);
	for (size_t i = 0; rc == RC_OK && i < entity->n; i++)
		rc = classify_parts(entity->parts[i], body, null_sender, classes, err);
	return rc;
}

/* Is the first word of any field NAME this one? */
static bool
field_is(const struct hdrs *hdrs, const char *name, const char *word)
{
	const struct hdr *hdr;

	for (size_t i = 0; (hdr = hdrs_find(hdrs, name, i)); i++) {
		const char *p = hdr->value + strspn(hdr->value, " \t\r\n");
		size_t len = strcspn(p, " \t\r\n;(");

		if (len == strlen(word) && strncasecmp(p, word, len) == 0)
			return true;
	}
	return false;
}

/* What the header says about where the message comes from. */
static unsigned
classify_hdrs(const struct hdrs *hdrs)
{
	static const char *const automatic[] = {"junk", "bulk", "auto_reply", "auto-reply"};
	unsigned classes = 0;

	if (hdrs_find(hdrs, "List-Id", 0) || hdrs_find(hdrs, "List-Post", 0) ||
		field_is(hdrs, "Precedence", "list"))
		classes |= CLASS_LIST;
	if (hdrs_find(hdrs, "Auto-Submitted", 0) && !field_is(hdrs, "Auto-Submitted", "no"))
		classes |= CLASS_AUTO_REPLY;
	for (size_t i = 0; i < sizeof(automatic) / sizeof(*automatic); i++)
		if (field_is(hdrs, "Precedence", automatic[i]))
			classes |= CLASS_AUTO_REPLY;
	if (hdrs_find(hdrs, "DKIM-Signature", 0))
		classes |= CLASS_DKIM_SIGNED;
	if (hdrs_find(hdrs, OPENED_MARK, 0))
		classes |= CLASS_OPENED;
	return classes;
}

enum rc
classify(const struct hdrs *hdrs, const struct entity *root, struct spool *body, const char *sender,
	unsigned *classes, struct err *err)
{
	unsigned found = classify_hdrs(hdrs);
	enum rc rc;

	*classes = 0;
	if (is_multipart_signed(root))
		found |= CLASS_SIGNED;
	else if (is_type(root, "multipart/signed") &&
		 param_is(root, "protocol", "application/pgp-signature"))
		found |= CLASS_PGP;
	if (is_type(root, "multipart/encrypted") || is_type(root, "application/pgp") ||
		is_type(root, "application/pgp-encrypted"))
		found |= CLASS_PGP;
	if (is_type(root, "multipart/report"))
		found |= CLASS_REPORT;
	if (entity_wrapping(root) == WRAP_PKCS7_MIME) {
		rc = classify_cms(root, body, &found, err);
		if (rc != RC_OK)
			return rc;
	}
	rc = classify_parts(root, body, sender[0] == '\0', &found, err);
	if (rc != RC_OK)
		return rc;
	if (!(found & (CLASS_SIGNED | CLASS_ENVELOPED | CLASS_PGP)))
		found |= CLASS_PLAIN;
	*classes = found;
	return RC_OK;
}
