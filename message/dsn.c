/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/dsn.h"

#include "base/clock.h"
#include "message/charset.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_ENVID      400 /* RFC 3461 section 4.4 allows 100 */
#define MAX_ORCPT      2000
#define MAX_DIAGNOSTIC 600
#define FOLD_AT        70

bool
dsn_wants_failure(const char *notify)
{
	if (!notify || !*notify)
		return true;
	if (strcasecmp(notify, "NEVER") == 0)
		return false;
	for (const char *p = notify; *p;) {
		size_t n = strcspn(p, ",");

		if (n == 7 && strncasecmp(p, "FAILURE", 7) == 0)
			return true;
		/* Not a word of RFC 3461: the silence that it seems to ask for is not granted. */
		if (!(n == 7 && strncasecmp(p, "SUCCESS", 7) == 0) &&
			!(n == 5 && strncasecmp(p, "DELAY", 5) == 0))
			return true;
		p += n;
		p += *p == ',';
	}
	return false;
}

/* "5.7.1": class, subject and detail of at most three digits (RFC 3463 section 2). */
static bool
is_status(const char *text, int class)
{
	size_t dots = 0, digits = 0;

	if (!text || text[0] != (char)('0' + class) || text[1] != '.')
		return false;
	for (const char *p = text + 1; *p; p++) {
		if (*p == '.') {
			if (dots > 0 && digits == 0)
				return false;
			dots++;
			digits = 0;
		} else if (*p < '0' || *p > '9' || ++digits > 3) {
			return false;
		}
	}
	return dots == 2 && digits > 0;
}

const char *
dsn_status(int code, const char *enhanced)
{
	if (is_status(enhanced, code / 100))
		return enhanced;
	return code / 100 == 4 ? "4.0.0" : "5.0.0";
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum rc
dsn_decode_xtext(const char *text, size_t len, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < len; i++) {
		char c = text[i];

		if (c == '+') {
			int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
			int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

			if (low < 0)
				return err_set(err, ERR_ADDR_SYNTAX, "malformed xtext");
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c < ' ' || c > '~')
			return err_set(err, ERR_ADDR_SYNTAX, "xtext for what is not printable");
		rc = buf_append_char(out, c, err);
	}
	return rc;
}

/* ADDR in the form of RFC 6533 section 3: UTF-8 as it is, or as \x{HEX} for 7-bit reports. */
static enum rc
append_utf8_addr(struct buf *out, const char *addr, bool raw, struct err *err)
{
	size_t len = strlen(addr);
	enum rc rc = RC_OK;

	while (rc == RC_OK && len > 0) {
		size_t n = utf8_length(addr, len);
		const unsigned char *u = (const unsigned char *)addr;
		unsigned point =
			n == 2   ? (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu)
			: n == 3 ? (u[0] & 0x0fu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu)
			: n == 4 ? (u[0] & 7u) << 18 | (u[1] & 0x3fu) << 12 | (u[2] & 0x3fu) << 6 |
					   (u[3] & 0x3fu)
				 : *u;

		if (n == 0)
			return err_set(err, ERR_ADDR_SYNTAX, "an address that is no UTF-8");
		if ((n == 1 && (*u <= ' ' || *u >= 127 || strchr("+=\\", *addr))) ||
			(n > 1 && !raw))
			rc = buf_appendf(out, err, "\\x{%X}", point);
		else
			rc = buf_append(out, addr, n, err);
		addr += n;
		len -= n;
	}
	return rc;
}

static bool
is_ascii(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static enum rc
append_final(struct buf *out, const struct dsn *dsn, const struct dsn_rcpt *rcpt, struct err *err)
{
	enum rc rc;

	if (is_ascii(rcpt->addr))
		return buf_appendf(out, err, "Final-Recipient: rfc822; %s\r\n", rcpt->addr);
	rc = buf_append_str(out, "Final-Recipient: utf-8; ", err);
	if (rc == RC_OK)
		rc = append_utf8_addr(out, rcpt->addr, dsn->utf8, err);
	return rc == RC_OK ? buf_append_str(out, "\r\n", err) : rc;
}

/* "type;value" of ORCPT; an atom, then xtext (or the form of RFC 6533 for utf-8). */
static enum rc
append_original(struct buf *out, const struct dsn_rcpt *rcpt, struct err *err)
{
	static const char atom[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
	struct buf value = BUF_INIT(MAX_ORCPT);
	const char *type = rcpt->orcpt;
	size_t n = type ? strspn(type, atom) : 0;
	enum rc rc;

	if (n == 0 || n > 40 || type[n] != ';' || !type[n + 1])
		return RC_OK;
	if (n == 5 && strncasecmp(type, "utf-8", 5) == 0)
		rc = is_ascii(type) ? buf_append_str(&value, type + n + 1, NULL) : RC_PERM;
	else
		rc = dsn_decode_xtext(type + n + 1, strlen(type + n + 1), &value, NULL);
	if (rc == RC_OK)
		rc = buf_appendf(out, err, "Original-Recipient: %.*s; %s\r\n", (int)n, type,
			buf_text(&value));
	else
		rc = RC_OK; /* what is no ORCPT is not repeated */
	buf_fini(&value);
	return rc;
}

/* The reply, printable ASCII, folded between words. */
static enum rc
append_diagnostic(struct buf *out, const struct dsn_rcpt *rcpt, struct err *err)
{
	char text[MAX_DIAGNOSTIC];
	size_t column;
	enum rc rc;

	snprintf(text, sizeof(text), "%03d%s%s%s%s", rcpt->code,
		rcpt->enhanced && *rcpt->enhanced ? " " : "", rcpt->enhanced ? rcpt->enhanced : "",
		rcpt->text && *rcpt->text ? " " : "", rcpt->text ? rcpt->text : "");
	for (char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = *p == '\r' || *p == '\n' || *p == '\t' ? ' ' : '?';
	rc = buf_append_str(out, "Diagnostic-Code: smtp;", err);
	column = 22;
	for (const char *p = text; rc == RC_OK && *p;) {
		size_t word = strcspn(p, " ");

		if (word == 0) {
			p++;
			continue;
		}
		rc = buf_append_str(out, column + word > FOLD_AT ? "\r\n\t" : " ", err);
		if (rc == RC_OK)
			rc = buf_append(out, p, word, err);
		column = column + word > FOLD_AT ? 8 + word : column + 1 + word;
		p += word;
	}
	return rc == RC_OK ? buf_append_str(out, "\r\n", err) : rc;
}

static enum rc
write_rcpt(
	const struct dsn *dsn, const struct dsn_rcpt *rcpt, const struct sink *to, struct err *err)
{
	struct buf out = BUF_INIT(16384);
	enum rc rc = buf_append_str(&out, "\r\n", err);

	if (rc == RC_OK)
		rc = append_original(&out, rcpt, err);
	if (rc == RC_OK)
		rc = append_final(&out, dsn, rcpt, err);
	if (rc == RC_OK)
		rc = buf_appendf(&out, err, "Action: failed\r\nStatus: %s\r\n",
			dsn_status(rcpt->code, rcpt->enhanced));
	if (rc == RC_OK)
		rc = append_diagnostic(&out, rcpt, err);
	if (rc == RC_OK)
		rc = sink_feed(to, out.data, out.len, err);
	buf_fini(&out);
	return rc;
}

static enum rc
write_envid(const struct dsn *dsn, struct buf *out, struct err *err)
{
	struct buf value = BUF_INIT(MAX_ENVID);
	enum rc rc = RC_OK;

	if (dsn->envid && *dsn->envid &&
		dsn_decode_xtext(dsn->envid, strlen(dsn->envid), &value, NULL) == RC_OK)
		rc = buf_appendf(out, err, "Original-Envelope-Id: %s\r\n", buf_text(&value));
	buf_fini(&value);
	return rc;
}

const char *
dsn_type(bool utf8)
{
	return utf8 ? "message/global-delivery-status" : "message/delivery-status";
}

enum rc
dsn_write(const struct dsn *dsn, const struct sink *to, struct err *err)
{
	struct buf out = BUF_INIT(4096);
	char date[40];
	enum rc rc = write_envid(dsn, &out, err);

	if (rc == RC_OK)
		rc = buf_appendf(&out, err, "Reporting-MTA: dns; %s\r\n", dsn->reporting_mta);
	if (rc == RC_OK && dsn->qid && *dsn->qid && is_ascii(dsn->qid))
		rc = buf_appendf(&out, err, "X-Sealgate-Queue-Id: %.100s\r\n", dsn->qid);
	if (rc == RC_OK)
		rc = buf_appendf(
			&out, err, "Arrival-Date: %s\r\n", clock_format_mail(dsn->arrival, date));
	if (rc == RC_OK)
		rc = sink_feed(to, out.data, out.len, err);
	for (size_t i = 0; rc == RC_OK && i < dsn->n; i++)
		rc = write_rcpt(dsn, &dsn->v[i], to, err);
	buf_fini(&out);
	return rc;
}
