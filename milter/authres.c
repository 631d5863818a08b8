/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/authres.h"

#include "crypto/cert.h"

#include <string.h>
#include <strings.h>

#define PROPERTY_MAX 800 /* bytes: a line of mail has 998 */

struct scan {
	const char *p, *end;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Past blanks and comments (RFC 5322 CFWS); a comment without end goes to the end. */
static void
skip_cfws(struct scan *s)
{
	int depth = 0;

	for (; s->p < s->end; s->p++) {
		if (depth && *s->p == '\\' && s->p + 1 < s->end)
			s->p++;
		else if (*s->p == '(')
			depth++;
		else if (depth && *s->p == ')')
			depth--;
		else if (!depth && !is_blank(*s->p))
			break;
	}
}

/* A quoted string or a run of anything but CFWS and the characters in STOP, unquoted into OUT. */
static enum rc
take_word(struct scan *s, const char *stop, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;

	buf_clear(out);
	if (s->p < s->end && *s->p == '"') {
		for (s->p++; rc == RC_OK && s->p < s->end && *s->p != '"'; s->p++) {
			if (*s->p == '\\' && s->p + 1 < s->end)
				s->p++;
			rc = buf_append_char(out, *s->p, err);
		}
		if (s->p < s->end)
			s->p++;
		return rc;
	}
	for (; rc == RC_OK && s->p < s->end && !is_blank(*s->p) && *s->p != '(' &&
		!strchr(stop, *s->p);
		s->p++)
		rc = buf_append_char(out, *s->p, err);
	return rc;
}

/* To the next ';' outside quotes and comments, or the end. */
static void
skip_result(struct scan *s)
{
	while (s->p < s->end && *s->p != ';') {
		if (*s->p == '(') {
			skip_cfws(s);
		} else if (*s->p == '"') {
			for (s->p++; s->p < s->end && *s->p != '"'; s->p++)
				if (*s->p == '\\' && s->p + 1 < s->end)
					s->p++;
			if (s->p < s->end)
				s->p++;
		} else {
			s->p++;
		}
	}
}

/* Does the result at S speak of smime? S is left where it was. */
static enum rc
is_smime(struct scan s, bool *yes, struct buf *word, struct err *err)
{
	enum rc rc;

	skip_cfws(&s);
	rc = take_word(&s, "=/;", word, err);
	*yes = rc == RC_OK && strcasecmp(buf_text(word), "smime") == 0;
	return rc;
}

static enum rc
keep_others(struct scan *s, struct buf *out, struct buf *word, size_t *kept, size_t *dropped,
	struct err *err)
{
	enum rc rc = RC_OK;

	*kept = *dropped = 0;
	while (rc == RC_OK && s->p < s->end) {
		const char *start = ++s->p; /* past the ';' */
		bool smime;

		rc = is_smime(*s, &smime, word, err);
		skip_result(s);
		if (rc != RC_OK || smime) {
			(*dropped)++;
			continue;
		}
		(*kept)++;
		rc = buf_append_char(out, ';', err);
		if (rc == RC_OK)
			rc = buf_append(out, start, (size_t)(s->p - start), err);
	}
	return rc;
}

enum rc
authres_examine(const char *value, size_t len, const char *id, enum authres_kind *kind,
	struct buf *out, struct err *err)
{
	struct scan s = {.p = value, .end = value + len};
	struct buf word = BUF_INIT(0);
	size_t kept, dropped;
	enum rc rc;

	*kind = AUTHRES_OTHER;
	buf_clear(out);
	skip_cfws(&s);
	rc = take_word(&s, ";", &word, err);
	if (rc != RC_OK || strcasecmp(buf_text(&word), id) != 0) {
		buf_fini(&word);
		return rc;
	}
	skip_result(&s); /* a version number may follow the id */
	rc = buf_append(out, value, (size_t)(s.p - value), err);
	if (rc == RC_OK)
		rc = keep_others(&s, out, &word, &kept, &dropped, err);
	if (rc == RC_OK && dropped)
		*kind = kept ? AUTHRES_CHANGE : AUTHRES_DELETE;
	buf_fini(&word);
	return rc;
}

/* TEXT as a quoted string; what could not stand in a header field becomes '?'. */
static enum rc
append_quoted(struct buf *out, const char *text, struct err *err)
{
	enum rc rc = buf_append_char(out, '"', err);

	for (; rc == RC_OK && *text; text++) {
		if (*text == '"' || *text == '\\')
			rc = buf_append_char(out, '\\', err);
		if (rc == RC_OK)
			rc = buf_append_char(out, *text < ' ' || *text > '~' ? '?' : *text, err);
	}
	return rc == RC_OK ? buf_append_char(out, '"', err) : rc;
}

/* TEXT as a comment. */
static enum rc
append_comment(struct buf *out, const char *text, struct err *err)
{
	enum rc rc = buf_append_char(out, '(', err);

	for (; rc == RC_OK && *text; text++)
		rc = buf_append_char(out,
			*text < ' ' || *text > '~' || strchr("()\\", *text) ? '?' : *text, err);
	return rc == RC_OK ? buf_append_char(out, ')', err) : rc;
}

static bool
is_plain_value(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || strchr("()<>,;:\\\"/[]?=", *text))
			return false;
	return true;
}

/* A property that would not fit a line of mail, as a hostile certificate's could be, is left out.
 */
static bool
fits(const char *value)
{
	size_t n = 0;

	for (; *value && n <= PROPERTY_MAX; value++)
		n += *value == '"' || *value == '\\' ? 2 : 1; /* quoted, they take two */
	return n <= PROPERTY_MAX;
}

static enum rc
append_property(struct buf *out, const char *name, const char *value, struct err *err)
{
	enum rc rc = buf_appendf(out, err, "\n\tbody.%s=", name);

	if (rc != RC_OK)
		return rc;
	return is_plain_value(value) && *value ? buf_append_str(out, value, err)
					       : append_quoted(out, value, err);
}

/*
 * A certificate may have several addresses, and its CA may speak for some of them only: the one
 * that is named is the one that was checked, ADDR, where there is such a one. Serial number and
 * issuer stand both there or neither (RFC 7281, section 3.2.3).
 */
static enum rc
append_signer(struct buf *out, const struct cert *cert, const char *addr, struct err *err)
{
	const char *const *addrs;
	size_t n = cert_addrs(cert, true, &addrs);
	const char *named = addr || n == 0 ? addr : addrs[0];
	enum rc rc = RC_OK;

	if (named && fits(named))
		rc = append_property(out, "smime-identifier", named, err);
	if (rc != RC_OK || !fits(cert_serial(cert)) || !fits(cert_issuer(cert)))
		return rc;
	rc = append_property(out, "smime-serial", cert_serial(cert), err);
	return rc == RC_OK ? append_property(out, "smime-issuer", cert_issuer(cert), err) : rc;
}

static enum rc
append_verdict(struct buf *out, const struct verdict *verdict, const char *from, struct err *err)
{
	const struct cert *signer = verdict->n_signers ? verdict->signers[0] : NULL;
	bool match = from && verdict->sender == SENDER_MATCH;
	enum rc rc = buf_appendf(
		out, err, ";\n\tsmime=%s", verdict_overall_name(verdict_result(verdict)));

	if (rc == RC_OK && *verdict->reason) {
		rc = buf_append_char(out, ' ', err);
		if (rc == RC_OK)
			rc = append_comment(out, verdict->reason, err);
	}
	for (size_t i = 0; match && i < verdict->n_signers; i++)
		if (cert_has_addr(verdict->signers[i], from, true)) {
			signer = verdict->signers[i];
			break;
		}
	if (rc == RC_OK && signer)
		rc = append_signer(out, signer, match ? from : NULL, err);
	return rc;
}

enum rc
authres_format(const char *id, const struct verdict *verdicts, size_t n, const char *from,
	struct buf *out, struct err *err)
{
	enum rc rc = buf_appendf(out, err, " %s", id);

	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = append_verdict(out, &verdicts[i], from, err);
	return rc;
}
