/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/compose.h"

#include "base/clock.h"
#include "base/secret.h"
#include "message/b64.h"
#include "message/charset.h"
#include "message/qp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_CHARS   76
#define WORD_MAX     75 /* of an encoded word (RFC 2047 section 2) */
#define LONGEST_WORD 60 /* of ASCII text that is folded between its words */
#define REPLACEMENT  "\xef\xbf\xbd"
#define MAX_PLAIN    (4u << 20)

bool
compose_is_ascii(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

enum rc
compose_clean(const char *text, size_t max, struct buf *out, struct err *err)
{
	size_t len = strlen(text), from = out->len;
	enum rc rc = RC_OK;

	while (rc == RC_OK && len > 0) {
		size_t n = utf8_length(text, len);
		bool bad = n == 0, control = n == 1 && (*text < ' ' || *text == 127);

		/* C1 control characters and the line and paragraph separators are breaks to some.
		 */
		control |= n == 2 && text[0] == '\xc2' && (unsigned char)text[1] < 0xa0;
		control |= n == 3 && text[0] == '\xe2' && text[1] == '\x80' &&
			   (text[2] == '\xa8' || text[2] == '\xa9');
		n = n ? n : 1;
		if (out->len - from + (bad ? 3 : n) > max)
			break;
		if (bad)
			rc = buf_append_str(out, REPLACEMENT, err);
		else if (control)
			rc = buf_append_char(out, ' ', err);
		else
			rc = buf_append(out, text, n, err);
		text += n;
		len -= n;
	}
	return rc;
}

/* One encoded word for the N bytes at TEXT; false when it would be longer than MAX. */
static bool
encode_word(const char *text, size_t n, enum compose_charset charset, size_t max, struct buf *out)
{
	static const char *const names[] = {"UTF-8", "ISO-2022-JP"};
	struct buf jis = BUF_INIT(4096);
	char encoded[2 * WORD_MAX];
	bool fits = true;

	if (charset == COMPOSE_ISO_2022_JP) {
		fits = charset_encode_jis(text, n, &jis, NULL) == RC_OK;
		text = buf_text(&jis);
		n = jis.len;
	}
	if (fits && n <= WORD_MAX) {
		size_t len = b64_encode(text, n, encoded);

		fits = strlen(names[charset]) + 7 + len <= max;
		buf_clear(out);
		if (fits && buf_appendf(out, NULL, "=?%s?B?%.*s?=", names[charset], (int)len,
				    encoded) != RC_OK)
			fits = false;
	} else {
		fits = false;
	}
	buf_fini(&jis);
	return fits;
}

/* The longest word from the beginning of TEXT; *used tells its bytes, 0 when not even one
 * character fits. */
static void
longest_word(const char *text, size_t len, enum compose_charset charset, size_t max,
	struct buf *word, size_t *used)
{
	struct buf longer = BUF_INIT(256);
	size_t n = 0;

	*used = 0;
	while (n < len) {
		n += utf8_length(text + n, len - n); /* it is clean */
		if (!encode_word(text, n, charset, max, &longer))
			break;
		*used = n;
		buf_clear(word);
		if (buf_append(word, longer.data, longer.len, NULL) != RC_OK)
			break;
	}
	buf_fini(&longer);
}

/* TEXT (clean) as encoded words, each line but the first beginning with a blank. */
static enum rc
append_words(struct buf *out, const char *text, enum compose_charset charset, size_t column,
	struct err *err)
{
	struct buf word = BUF_INIT(256);
	size_t len = strlen(text), used = 0;
	enum rc rc = RC_OK;

	while (rc == RC_OK && len > 0) {
		size_t room = column < LINE_CHARS ? LINE_CHARS - column : 0;

		longest_word(text, len, charset, room < WORD_MAX ? room : WORD_MAX, &word, &used);
		if (used == 0 && column <= 1) {
			rc = err_set(err, ERR_INTERNAL, "a character that fits no encoded word");
			break;
		}
		if (used > 0)
			rc = buf_append(out, word.data, word.len, err);
		text += used;
		len -= used;
		if (rc == RC_OK && len > 0)
			rc = buf_append_str(out, "\n ", err);
		column = 1;
	}
	buf_fini(&word);
	return rc;
}

/* ASCII that needs no encoding and can be folded between its words. */
static bool
is_foldable(const char *text)
{
	size_t word = 0;

	if (!compose_is_ascii(text) || strstr(text, "=?") || *text == ' ')
		return false;
	for (; *text; text++) {
		word = *text == ' ' ? 0 : word + 1;
		if (word > LONGEST_WORD || (*text == ' ' && (text[1] == ' ' || !text[1])))
			return false;
	}
	return true;
}

static enum rc
append_folded(struct buf *out, const char *text, size_t column, struct err *err)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && *text) {
		size_t word = strcspn(text, " ");

		if (column + word > LINE_CHARS && column > 1) {
			rc = buf_append_str(out, "\n ", err);
			column = 1;
		} else if (column > 1 && out->len > 0 && out->data[out->len - 1] != ' ') {
			rc = buf_append_char(out, ' ', err);
			column++;
		}
		if (rc == RC_OK)
			rc = buf_append(out, text, word, err);
		column += word;
		text += word;
		text += *text == ' ';
	}
	return rc;
}

/* Can CHARSET say all of TEXT? Otherwise it is UTF-8. */
static enum compose_charset
choose_charset(const char *text, size_t len, enum compose_charset charset)
{
	struct buf jis = BUF_INIT(MAX_PLAIN);

	if (charset == COMPOSE_ISO_2022_JP && charset_encode_jis(text, len, &jis, NULL) != RC_OK)
		charset = COMPOSE_UTF8;
	buf_fini(&jis);
	return charset;
}

static enum rc
append_text(struct buf *out, const char *text, enum compose_charset charset, size_t column,
	struct err *err)
{
	struct buf clean = BUF_INIT(COMPOSE_MAX_TEXT + 4);
	enum rc rc = compose_clean(text, COMPOSE_MAX_TEXT, &clean, err);

	if (rc == RC_OK && is_foldable(buf_text(&clean)))
		rc = append_folded(out, buf_text(&clean), column, err);
	else if (rc == RC_OK)
		rc = append_words(out, buf_text(&clean),
			choose_charset(buf_text(&clean), clean.len, charset), column, err);
	buf_fini(&clean);
	return rc;
}

enum rc
compose_text(struct hdrs *hdrs, const char *name, const char *text, enum compose_charset charset,
	struct err *err)
{
	struct buf value = BUF_INIT(65536);
	enum rc rc = buf_append_char(&value, ' ', err);

	if (rc == RC_OK)
		rc = append_text(&value, text, charset, strlen(name) + 2, err);
	if (rc == RC_OK)
		rc = hdrs_add(hdrs, name, strlen(name), buf_text(&value), value.len, err);
	buf_fini(&value);
	return rc;
}

/* A phrase (RFC 5322 section 3.2.5): atoms as they are, a quoted string, or encoded words. */
static enum rc
append_phrase(struct buf *out, const char *display, enum compose_charset charset, size_t column,
	struct err *err)
{
	static const char atoms[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789!#$%&'*+-/=?^_`{|}~ ";
	struct buf clean = BUF_INIT(256);
	enum rc rc = compose_clean(display, 200, &clean, err);
	const char *text = buf_text(&clean);

	if (rc == RC_OK && is_foldable(text) && strspn(text, atoms) == strlen(text)) {
		rc = append_folded(out, text, column, err);
	} else if (rc == RC_OK && is_foldable(text) && clean.len <= LONGEST_WORD) {
		rc = buf_append_char(out, '"', err);
		for (; rc == RC_OK && *text; text++) {
			if (*text == '"' || *text == '\\')
				rc = buf_append_char(out, '\\', err);
			if (rc == RC_OK)
				rc = buf_append_char(out, *text, err);
		}
		if (rc == RC_OK)
			rc = buf_append_char(out, '"', err);
	} else if (rc == RC_OK) {
		rc = append_words(out, text, choose_charset(text, clean.len, charset), column, err);
	}
	buf_fini(&clean);
	return rc;
}

/* An address stands as it is: encoded words are not allowed in it. */
static enum rc
append_addr(struct buf *out, const char *addr, struct err *err)
{
	for (const char *p = addr; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127 || *p == '<' || *p == '>')
			return err_set(err, ERR_ADDR_SYNTAX, "an address that cannot be written");
	return buf_appendf(out, err, "<%s>", addr);
}

enum rc
compose_mailbox(struct hdrs *hdrs, const char *name, const char *display, const char *addr,
	enum compose_charset charset, struct err *err)
{
	struct buf value = BUF_INIT(8192);
	enum rc rc = buf_append_char(&value, ' ', err);

	if (rc == RC_OK && display && *display) {
		rc = append_phrase(&value, display, charset, strlen(name) + 2, err);
		if (rc == RC_OK)
			rc = buf_append_str(&value, "\n ", err);
	}
	if (rc == RC_OK)
		rc = append_addr(&value, addr, err);
	if (rc == RC_OK)
		rc = hdrs_add(hdrs, name, strlen(name), buf_text(&value), value.len, err);
	buf_fini(&value);
	return rc;
}

enum rc
compose_field(struct hdrs *hdrs, const char *name, struct err *err, const char *fmt, ...)
{
	char *value = NULL;
	va_list ap;
	enum rc rc;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (len < 0)
		return err_set(err, ERR_MEMORY, "a header field");
	rc = hdrs_insert(hdrs, hdrs->n, name, value, err);
	free(value);
	return rc;
}

enum rc
compose_origin(struct hdrs *hdrs, int64_t now, const char *domain, struct err *err)
{
	unsigned char random[12];
	struct buf hex = BUF_INIT(64);
	char date[40];
	enum rc rc = compose_field(hdrs, "Date", err, " %s", clock_format_mail(now, date));

	if (rc == RC_OK)
		rc = random_bytes(random, sizeof(random), err);
	if (rc == RC_OK)
		rc = buf_append_hex(&hex, random, sizeof(random), err);
	if (rc == RC_OK)
		rc = compose_field(hdrs, "Message-ID", err, " <%s.%lld@%s>", buf_text(&hex),
			(long long)now, domain);
	buf_fini(&hex);
	return rc;
}

enum rc
compose_boundary(char out[COMPOSE_BOUNDARY_SIZE], struct err *err)
{
	unsigned char random[16];
	enum rc rc = random_bytes(random, sizeof(random), err);

	/* "=_" stands in no quoted-printable or base64 text. */
	strcpy(out, "=_");
	for (size_t i = 0; rc == RC_OK && i < sizeof(random); i++)
		snprintf(out + 2 + 2 * i, 3, "%02x", random[i]);
	return rc;
}

/* TEXT with CRLF line ends; the last line is ended. */
static enum rc
to_crlf(const char *text, size_t len, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < len; i++) {
		if (text[i] == '\n')
			rc = buf_append_char(out, '\r', err);
		if (rc == RC_OK)
			rc = buf_append_char(out, text[i], err);
	}
	if (rc == RC_OK && len > 0 && text[len - 1] != '\n')
		rc = buf_append_str(out, "\r\n", err);
	return rc;
}

/* ISO-2022-JP is 7-bit; otherwise the shorter of the two encodings. */
static enum rc
write_encoded(const struct buf *text, bool base64, const struct sink *body, struct err *err)
{
	struct b64_encoder *b64 = NULL;
	struct qp_encoder *qp = NULL;
	struct sink stage;
	enum rc rc = base64 ? b64_encoder_new(body, &b64, err) : qp_encoder_new(body, &qp, err);

	if (rc == RC_OK) {
		stage = base64 ? b64_encoder_sink(b64) : qp_encoder_sink(qp);
		rc = sink_feed(&stage, buf_text(text), text->len, err);
	}
	if (rc == RC_OK)
		rc = sink_finish(&stage, err);
	b64_encoder_free(&b64);
	qp_encoder_free(&qp);
	return rc;
}

static size_t
count_high(const struct buf *text)
{
	size_t n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += (unsigned char)text->data[i] > 126;
	return n;
}

/* Lines that may stand in a 7-bit body. */
static bool
lines_are_short(const struct buf *text)
{
	size_t line = 0;

	for (size_t i = 0; i < text->len; i++) {
		line = text->data[i] == '\n' ? 0 : line + 1;
		if (line > 900)
			return false;
	}
	return true;
}

enum rc
compose_plain(const char *text, size_t len, enum compose_charset charset, struct hdrs *hdrs,
	const struct sink *body, struct err *err)
{
	static const char *const names[] = {"utf-8", "iso-2022-jp"};
	struct buf lines = BUF_INIT(MAX_PLAIN), jis = BUF_INIT(MAX_PLAIN);
	struct sink plain = {.feed = body->feed, .ctx = body->ctx}; /* is not to be finished */
	bool base64;
	enum rc rc;

	charset = choose_charset(text, len, charset);
	rc = to_crlf(text, len, &lines, err);
	if (rc == RC_OK && charset == COMPOSE_ISO_2022_JP)
		rc = charset_encode_jis(buf_text(&lines), lines.len, &jis, err);
	if (rc == RC_OK && charset == COMPOSE_ISO_2022_JP && !lines_are_short(&jis))
		charset = COMPOSE_UTF8;
	base64 = count_high(&lines) > lines.len / 6;
	if (rc == RC_OK)
		rc = compose_field(
			hdrs, "Content-Type", err, " text/plain; charset=%s", names[charset]);
	if (rc == RC_OK)
		rc = compose_field(hdrs, "Content-Transfer-Encoding", err, " %s",
			charset == COMPOSE_ISO_2022_JP ? "7bit"
			: base64                       ? "base64"
						       : "quoted-printable");
	if (rc == RC_OK && charset == COMPOSE_ISO_2022_JP)
		rc = sink_feed(&plain, buf_text(&jis), jis.len, err);
	else if (rc == RC_OK)
		rc = write_encoded(&lines, base64, &plain, err);
	buf_fini(&lines);
	buf_fini(&jis);
	return rc;
}
