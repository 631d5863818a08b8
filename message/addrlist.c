/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/addr.h"

#include "base/buf.h"
#include "message/charset.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ESC '\x1b'

/*
 * One pass, item by item. An item is what stands between commas (or group marks). If it has
 * something in angle brackets, that is its address and the words are a display name; if
 * not, its words that contain an '@' are its addresses. Words are parted by blanks and comments
 * unless a dot or an '@' is next to them (RFC 5322 section 4.4 allows "alice @ example . org").
 * Lists in the field are broken in many ways; what can't be told for sure is an error,
 * never a guess, because rights hang on the addresses.
 */
struct parser {
	const char *p, *end;
	struct addrlist *out;
	struct buf words; /* of this item, each ended by NUL */
	size_t word;      /* where the last one begins */
	bool gap;         /* blank or comment since the last byte of it */
	bool angle;       /* the item had something in angle brackets */
	size_t items;     /* that were not empty */
};

/* Appends one address to the list. */
static enum rc
add_address(struct parser *parser, const char *text, size_t len, struct err *err)
{
	struct addrlist *out = parser->out;
	char addr[ADDR_MAX + 1];
	enum rc rc = addr_canonical(text, len, addr, err);

	if (rc != RC_OK || addr[0] == '\0')
		return rc;
	if (out->n >= ADDR_MAX_LIST)
		return err_set(err, ERR_LIMIT, "more than %d addresses in a header", ADDR_MAX_LIST);
	if ((out->n & (out->n - 1)) == 0) {
		char **v = realloc(out->v, (out->n ? out->n * 2 : 1) * sizeof(*v));

		if (!v)
			return err_set(err, ERR_MEMORY, "addresses");
		out->v = v;
	}
	out->v[out->n] = strdup(addr);
	if (!out->v[out->n])
		return err_set(err, ERR_MEMORY, "addresses");
	out->n++;
	return RC_OK;
}

/* Puts bytes to the word in hand, or begins the next one. */
static enum rc
put(struct parser *parser, const char *text, size_t len, struct err *err)
{
	struct buf *words = &parser->words;
	char first = *text, last = words->len > parser->word ? words->data[words->len - 1] : '\0';
	enum rc rc = RC_OK;

	if (parser->gap && last && last != '.' && last != '@' && first != '.' && first != '@') {
		rc = buf_append_char(words, '\0', err);
		parser->word = words->len;
	}
	parser->gap = false;
	return rc == RC_OK ? buf_append(words, text, len, err) : rc;
}

/* Length of the comment at P with everything nested in it; 0 when it has no end. */
static size_t
comment_length(const char *p, size_t len)
{
	size_t at = 0, depth = 0;

	while (at < len) {
		if (jis_shift_length(p + at, len - at)) {
			at += jis_run_length(p + at, len - at);
			continue;
		}
		if (p[at] == '\\') {
			at++;
		} else if (p[at] == '(') {
			depth++;
		} else if (p[at] == ')' && --depth == 0) {
			return at + 1;
		}
		at++;
	}
	return 0;
}

/* Length of the quoted string at P with its quotes; 0 when it has no end. */
static size_t
quoted_length(const char *p, size_t len)
{
	size_t at = 1;

	while (at < len) {
		if (jis_shift_length(p + at, len - at))
			at += jis_run_length(p + at, len - at);
		else if (p[at] == '"')
			return at + 1;
		else
			at += p[at] == '\\' ? 2 : 1;
	}
	return 0;
}

/* Length of the run at P of bytes that mean nothing but themselves, at least 1. */
static size_t
run_length(const char *p, size_t len)
{
	size_t n = 1;

	while (n < len && !strchr(" \t\r\n()<>[]\"\\,;:\x1b", p[n]))
		n++;
	return n;
}

/* Passes over what is a unit of its own at the present place: puts it, or makes it a gap. */
static enum rc
take_unit(struct parser *parser, struct err *err)
{
	const char *p = parser->p;
	size_t left = (size_t)(parser->end - p), n = 1;
	enum rc rc = RC_OK;

	if (*p == '(') {
		n = comment_length(p, left);
		parser->gap = true;
	} else if (*p == '"') {
		n = quoted_length(p, left);
		rc = n ? put(parser, p, n, err) : RC_OK;
	} else if (*p == '[') {
		const char *close = memchr(p, ']', left);

		n = close ? (size_t)(close + 1 - p) : 1;
		rc = put(parser, p, n, err);
	} else if (*p == ESC) {
		/* An ESC in the word, so that it can never be taken for an address. */
		n = jis_shift_length(p, left) ? jis_run_length(p, left)
		    : left > 2 && p[1] == '(' ? 3
					      : 1;
		rc = put(parser, p, 1, err);
	} else if (*p == '\\' && left > 1) {
		n = 2;
		rc = put(parser, p, 2, err);
	} else if (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n') {
		parser->gap = true;
	} else {
		n = run_length(p, left);
		rc = put(parser, p, n, err);
	}
	if (n == 0)
		return err_set(err, ERR_ADDR_SYNTAX, "%s is not closed",
			*p == '(' ? "comment" : "quoted string");
	parser->p += n;
	return rc;
}

/* Forgets the item's words. */
static void
drop_words(struct parser *parser)
{
	buf_clear(&parser->words);
	parser->word = 0;
	parser->gap = false;
}

/* Is there an '@' outside of quotes? */
static bool
has_at(const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (word[i] == '@')
			return true;
		if (word[i] == '"') {
			size_t n = quoted_length(word + i, len - i);

			i += n ? n - 1 : 0;
		} else if (word[i] == '\\') {
			i++;
		}
	}
	return false;
}

/* A group's name that is an address could be taken for the author by whoever reads it. */
static enum rc
drop_group_name(struct parser *parser, struct err *err)
{
	bool address = has_at(buf_text(&parser->words), parser->words.len);

	drop_words(parser);
	return address ? err_set(err, ERR_ADDR_SYNTAX, "an address as a group's name") : RC_OK;
}

/* "boss@example.org <alice@example.org>": which of the two a reader's program shows is not known.
 * An address that stands there twice does no harm. */
static bool
is_doubtful(const struct buf *words, const char *addr)
{
	const char *p = buf_text(words), *end = p + words->len;
	char shown[ADDR_MAX + 1];

	while (p < end) {
		const char *nul = memchr(p, '\0', (size_t)(end - p));
		size_t len = (size_t)((nul ? nul : end) - p);

		if (has_at(p, len) && addr_canonical(p, len, shown, NULL) == RC_OK &&
			addr_domain(shown) && strchr(addr_domain(shown), '.') &&
			!addr_equal(shown, addr))
			return true;
		p += len + 1;
	}
	return false;
}

/* What stands in angle brackets; the words before it were a display name. */
static enum rc
take_angle(struct parser *parser, struct err *err)
{
	struct buf name = parser->words;
	enum rc rc = RC_OK;

	parser->words = (struct buf)BUF_INIT(name.max);
	drop_words(parser);
	parser->p++;
	while (rc == RC_OK && parser->p < parser->end && *parser->p != '>') {
		if (*parser->p == '<') {
			drop_words(parser); /* <<alice@example.org>> */
			parser->p++;
		} else {
			rc = take_unit(parser, err);
		}
	}
	if (rc == RC_OK && parser->p == parser->end)
		rc = err_set(err, ERR_ADDR_SYNTAX, "angle bracket is not closed");
	parser->p++;
	parser->angle = true;
	/* Words that blanks kept apart make one local part that needs quotes. */
	for (size_t i = 0; rc == RC_OK && i < parser->words.len; i++)
		if (parser->words.data[i] == '\0')
			rc = err_set(err, ERR_ADDR_SYNTAX, "blank in a mail address");
	if (rc == RC_OK)
		rc = add_address(parser, buf_text(&parser->words), parser->words.len, err);
	if (rc == RC_OK && parser->out->n > 0)
		parser->out->doubtful |= is_doubtful(&name, parser->out->v[parser->out->n - 1]);
	buf_fini(&name);
	drop_words(parser);
	return rc;
}

/* At the end of an item: without angle brackets, its words with an '@' are addresses. */
static enum rc
end_item(struct parser *parser, struct err *err)
{
	const char *p = buf_text(&parser->words), *end = p + parser->words.len;
	enum rc rc = RC_OK;

	parser->items += parser->angle || p < end;
	while (rc == RC_OK && p < end) {
		const char *nul = memchr(p, '\0', (size_t)(end - p));
		size_t len = (size_t)((nul ? nul : end) - p);

		if (has_at(p, len))
			rc = parser->angle ? err_set(err, ERR_ADDR_SYNTAX,
						     "address behind an angle bracket")
					   : add_address(parser, p, len, err);
		p += len + 1;
	}
	parser->angle = false;
	if (parser->p < parser->end || rc != RC_OK)
		drop_words(parser);
	return rc;
}

/* "From: root" is an address of this host, but only if nothing else stands there. */
static enum rc
end_list(struct parser *parser, struct err *err)
{
	enum rc rc = end_item(parser, err);
	const struct buf *words = &parser->words;

	if (rc == RC_OK && parser->items == 1 && parser->out->n == 0 && parser->word == 0 &&
		words->len > 0 && !strpbrk(words->data, "\"\\\x1b"))
		rc = add_address(parser, words->data, words->len, err);
	return rc;
}

enum rc
addrlist_parse(const char *value, size_t len, struct addrlist *out, struct err *err)
{
	struct parser parser = {
		.p = value, .end = value + len, .out = out, .words = BUF_INIT(len * 2 + 16)};
	enum rc rc = RC_OK;

	*out = (struct addrlist){.v = NULL};
	while (rc == RC_OK && parser.p < parser.end) {
		switch (*parser.p) {
		case '<':
			rc = take_angle(&parser, err);
			break;
		case ',':
		case ';':
			rc = end_item(&parser, err);
			parser.p++;
			break;
		case ':': /* the words were a group's name */
			rc = drop_group_name(&parser, err);
			parser.p++;
			break;
		case '>':
			parser.p++;
			break;
		default:
			rc = take_unit(&parser, err);
		}
	}
	if (rc == RC_OK)
		rc = end_list(&parser, err);
	buf_fini(&parser.words);
	if (rc != RC_OK)
		addrlist_fini(out);
	return rc;
}

void
addrlist_fini(struct addrlist *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i]);
	free(list->v);
	*list = (struct addrlist){.v = NULL};
}

bool
addrlist_has(const struct addrlist *list, const char *addr)
{
	for (size_t i = 0; i < list->n; i++)
		if (addr_equal(list->v[i], addr))
			return true;
	return false;
}
