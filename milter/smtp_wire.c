/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/smtp_wire.h"

#include "message/addr.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define MAX_XTEXT    500 /* RFC 3461: ORCPT; ENVID has MAX_ENVID */
#define MAX_ENVID    100
#define MAX_XFORWARD 255 /* bytes of a value before it is encoded */
#define MAX_LINE     510 /* of an XFORWARD command, without CRLF */

static const char *const xforward_names[SMTP_XFORWARD_COUNT] = {
	"NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"};

const char *
smtp_xforward_name(int i)
{
	return xforward_names[i];
}

bool
smtp_is_ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text > 126)
			return false;
	return true;
}

/* --- addresses --- */

/* Without the brackets around it. */
static const char *
bare(const char *addr, size_t *len)
{
	*len = strlen(addr);
	if (*len >= 2 && addr[0] == '<' && addr[*len - 1] == '>') {
		addr++;
		*len -= 2;
	}
	return addr;
}

bool
smtp_addr_is_good(const char *addr, bool empty_ok)
{
	bool quoted = false;
	size_t len;
	const char *p = bare(addr, &len);

	if (len == 0)
		return empty_ok;
	if (len > ADDR_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c < ' ' || c == 127)
			return false;
		if (quoted && c == '\\') {
			if (++i == len || (unsigned char)p[i] < ' ' || p[i] == 127)
				return false;
		} else if (c == '"') {
			quoted = !quoted;
		} else if (!quoted && (c == ' ' || c == '<' || c == '>' || c == '\\')) {
			return false;
		}
	}
	return !quoted;
}

static enum rc
append_path(struct buf *out, const char *command, const char *addr, struct err *err)
{
	size_t len;
	const char *p = bare(addr, &len);

	return buf_appendf(out, err, "%s:<%.*s>", command, (int)len, p);
}

/* --- parameters --- */

static bool
is_upper_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

/* RFC 3461 section 4: printable but '+' and '=', which are written +HH; not empty. */
static bool
is_xtext(const char *text, size_t max)
{
	size_t len = strlen(text);

	if (len == 0 || len > max)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '!' || text[i] > '~' || text[i] == '=')
			return false;
		if (text[i] != '+')
			continue;
		if (i + 2 >= len || !is_upper_hex(text[i + 1]) || !is_upper_hex(text[i + 2]))
			return false;
		i += 2;
	}
	return true;
}

/* RFC 6533 section 3: the address in UTF-8 as it is, or with \x{HH…}. */
static bool
is_utf8_addr(const char *text, bool utf8)
{
	if (!*text || strlen(text) > MAX_XTEXT)
		return false;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < '!' || c == 127 || c == '=' || (c > 127 && !utf8))
			return false;
	}
	return true;
}

static bool
is_orcpt(const char *text, bool utf8)
{
	const char *semicolon = strchr(text, ';');

	if (!semicolon || semicolon == text)
		return false;
	for (const char *p = text; p < semicolon; p++)
		if (!((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') ||
			    (*p >= 'a' && *p <= 'z') || *p == '-'))
			return false;
	if (strncasecmp(text, "utf-8;", 6) == 0)
		return is_utf8_addr(semicolon + 1, utf8);
	return is_xtext(semicolon + 1, MAX_XTEXT);
}

/* NEVER alone, or some of SUCCESS, FAILURE, DELAY. */
static bool
is_notify(const char *text)
{
	static const char *const words[] = {"SUCCESS", "FAILURE", "DELAY"};

	if (strcasecmp(text, "NEVER") == 0)
		return true;
	for (;;) {
		size_t n = strcspn(text, ",");
		bool known = false;

		for (int i = 0; i < 3; i++)
			known |= n == strlen(words[i]) && strncasecmp(text, words[i], n) == 0;
		if (!known)
			return false;
		if (!text[n])
			return true;
		text += n + 1;
	}
}

/* " NAME=VALUE" where the port offers it and the value is good. */
static enum rc
append_param(struct buf *out, const char *name, const char *value, bool good, bool *dropped,
	struct err *err)
{
	if (!value)
		return RC_OK;
	if (!good) {
		*dropped = true;
		return RC_OK;
	}
	return buf_appendf(out, err, " %s=%s", name, value);
}

enum rc
smtp_format_mail(const struct smtp_envelope *envelope, const struct smtp_caps *caps, bool utf8,
	struct buf *out, bool *dropped, struct err *err)
{
	const char *ret = envelope->ret, *envid = envelope->envid;
	enum rc rc = append_path(out, "MAIL FROM", envelope->sender, err);

	if (!rc && caps->size_offered && envelope->size)
		rc = buf_appendf(out, err, " SIZE=%" PRIu64, envelope->size);
	if (!rc && caps->eightbitmime && (envelope->eightbit || utf8))
		rc = buf_append_str(out, " BODY=8BITMIME", err);
	if (!rc && utf8)
		rc = buf_append_str(out, " SMTPUTF8", err);
	if (!rc)
		rc = append_param(out, "RET", ret,
			caps->dsn && ret && (!strcasecmp(ret, "FULL") || !strcasecmp(ret, "HDRS")),
			dropped, err);
	if (!rc)
		rc = append_param(out, "ENVID", envid,
			caps->dsn && envid && is_xtext(envid, MAX_ENVID), dropped, err);
	return rc ? rc : buf_append_str(out, "\r\n", err);
}

enum rc
smtp_format_rcpt(const struct smtp_rcpt *rcpt, const struct smtp_caps *caps, bool utf8,
	struct buf *out, bool *dropped, struct err *err)
{
	const char *notify = rcpt->notify, *orcpt = rcpt->orcpt;
	enum rc rc = append_path(out, "RCPT TO", rcpt->addr, err);

	if (!rc)
		rc = append_param(out, "NOTIFY", notify, caps->dsn && notify && is_notify(notify),
			dropped, err);
	if (!rc)
		rc = append_param(out, "ORCPT", orcpt, caps->dsn && orcpt && is_orcpt(orcpt, utf8),
			dropped, err);
	return rc ? rc : buf_append_str(out, "\r\n", err);
}

/* --- XFORWARD --- */

/* Each byte that is not plainly harmless as +HH: the server decodes it. */
static enum rc
append_xtext(struct buf *out, const char *text, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && text[i] && i < MAX_XFORWARD; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c > ' ' && c < 127 && c != '+' && c != '=')
			rc = buf_append_char(out, (char)c, err);
		else
			rc = buf_appendf(out, err, "+%02X", c);
	}
	return rc;
}

/* "NAME=value" into OUT; what is not known is said so. */
static enum rc
append_attribute(struct buf *out, int i, const char *value, struct err *err)
{
	enum rc rc = buf_appendf(out, err, " %s=", xforward_names[i]);

	if (rc || !value || !*value)
		return rc ? rc : buf_append_str(out, "[UNAVAILABLE]", err);
	/* An IPv6 address stands there as in an address literal. */
	if (strcmp(xforward_names[i], "ADDR") == 0 && strchr(value, ':') &&
		strncasecmp(value, "IPv6:", 5) != 0)
		rc = buf_append_str(out, "IPV6:", err);
	return rc ? rc : append_xtext(out, value, err);
}

enum rc
smtp_format_xforward(const struct smtp_xforward *x, const struct smtp_caps *caps, struct buf *out,
	size_t *n, struct err *err)
{
	const char *const values[SMTP_XFORWARD_COUNT] = {
		x->name, x->addr, x->port, x->proto, x->helo, x->ident, x->source};
	struct buf one = BUF_INIT(4096);
	size_t line = 0; /* bytes of the command that is being written */
	bool known = false;
	enum rc rc = RC_OK;

	*n = 0;
	for (int i = 0; i < SMTP_XFORWARD_COUNT; i++)
		known |= values[i] && *values[i];
	for (int i = 0; !rc && known && i < SMTP_XFORWARD_COUNT; i++) {
		if (!(caps->xforward & 1u << i))
			continue;
		buf_clear(&one);
		rc = append_attribute(&one, i, values[i], err);
		if (!rc && (line == 0 || line + one.len > MAX_LINE)) {
			rc = buf_append_str(out, line ? "\r\nXFORWARD" : "XFORWARD", err);
			line = strlen("XFORWARD");
			(*n)++;
		}
		if (!rc)
			rc = buf_append(out, one.data, one.len, err);
		line += one.len;
	}
	if (!rc && *n)
		rc = buf_append_str(out, "\r\n", err);
	buf_fini(&one);
	return rc;
}

/* --- content --- */

static enum rc
pass(struct smtp_dots *dots, const char *data, size_t len, struct err *err)
{
	dots->bytes += len;
	return len ? sink_feed(dots->to, data, len, err) : RC_OK;
}

/*
 * A bare LF is sent as CRLF: every server takes it for a line end or for an attack. A bare CR is
 * left as it is: it is part of a line, also for what comes after it.
 */
enum rc
smtp_dots_feed(struct smtp_dots *dots, const void *data, size_t len, struct err *err)
{
	const char *p = data;
	size_t from = 0; /* what is not passed on yet */
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < len;) {
		const char *lf;

		if (!dots->in_line && p[i] == '.') {
			rc = pass(dots, p + from, i - from, err);
			if (!rc)
				rc = pass(dots, ".", 1, err);
			from = i;
		}
		lf = memchr(p + i, '\n', len - i);
		if (!lf) {
			dots->in_line = true;
			break;
		}
		i = (size_t)(lf - p);
		if (!rc && !(i > 0 ? p[i - 1] == '\r' : dots->cr)) {
			rc = pass(dots, p + from, i - from, err);
			if (!rc)
				rc = pass(dots, "\r", 1, err);
			from = i;
		}
		dots->in_line = false;
		i++;
	}
	if (len > 0)
		dots->cr = p[len - 1] == '\r';
	return rc ? rc : pass(dots, p + from, len - from, err);
}

enum rc
smtp_dots_end_line(struct smtp_dots *dots, struct err *err)
{
	if (!dots->in_line)
		return RC_OK;
	dots->in_line = false;
	return pass(dots, "\r\n", 2, err);
}
