/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/der.h"

#include <stdlib.h>
#include <string.h>

/*
 * Reads a tag and a length. Returns the header's size, 0 when it is malformed or cut off.
 * *INDEFINITE is set instead of *BODY_LEN for the length 0x80.
 */
static size_t
read_header(const struct der *in, unsigned *tag, size_t *body_len, bool *indefinite)
{
	size_t n, value = 0;

	*indefinite = false;
	*body_len = 0;
	if (in->len < 2 || (in->p[0] & 0x1f) == 0x1f)
		return 0;
	*tag = in->p[0];
	if (in->p[1] < 0x80) {
		*body_len = in->p[1];
		return 2;
	}
	n = in->p[1] & 0x7fu;
	if (n == 0) {
		*indefinite = true;
		return *tag & 0x20 ? 2 : 0;
	}
	if (n > 8 || in->len < 2 + n)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (value >> (8 * (sizeof value - 1)))
			return 0;
		value = value << 8 | in->p[2 + i];
	}
	*body_len = value;
	return 2 + n;
}

bool
der_next(struct der *in, struct der_item *item)
{
	bool indefinite;
	size_t body_len, header = read_header(in, &item->tag, &body_len, &indefinite);

	if (!header || indefinite || body_len > in->len - header)
		return false;
	item->whole = (struct der){in->p, header + body_len};
	item->body = (struct der){in->p + header, body_len};
	in->p += header + body_len;
	in->len -= header + body_len;
	return true;
}

bool
der_take(struct der *in, unsigned tag, struct der_item *item)
{
	return in->len && in->p[0] == tag && der_next(in, item);
}

bool
der_take_int(struct der *in, int *value)
{
	struct der saved = *in;
	struct der_item item;
	long v;

	if (!der_take(in, DER_INTEGER, &item))
		return false;
	if (item.body.len < 1 || item.body.len > 3) {
		*in = saved;
		return false;
	}
	v = item.body.p[0] & 0x80 ? -1 : 0;
	for (size_t i = 0; i < item.body.len; i++)
		v = v * 256 + item.body.p[i];
	*value = (int)v;
	return true;
}

/* Two digits; -1 when they are none. */
static int
two_digits(const unsigned char *p)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return -1;
	return 10 * (p[0] - '0') + p[1] - '0';
}

/* Days from 1970-01-01 to a day of the Gregorian calendar. The year begins in March here, so that
 * the odd day comes last. */
static int64_t
days_to(int year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t m = month > 2 ? month - 3 : month + 9;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

bool
der_time(const struct der_item *item, int64_t *seconds)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	const unsigned char *p = item->body.p;
	int part[6], century, i;

	if (item->tag == DER_UTC_TIME && item->body.len == 13) {
		century = p[0] >= '5' ? 19 : 20;
	} else if (item->tag == DER_GENERALIZED_TIME && item->body.len == 15) {
		century = two_digits(p);
		p += 2;
	} else {
		return false;
	}
	for (i = 0; i < 6; i++)
		part[i] = two_digits(p + 2 * i);
	if (century < 0 || part[0] < 0 || part[1] < 1 || part[1] > 12 || part[2] < 1 ||
		part[2] > days[part[1] - 1] || part[3] < 0 || part[3] > 23 || part[4] < 0 ||
		part[4] > 59 || part[5] < 0 || part[5] > 60 || p[12] != 'Z')
		return false;
	*seconds = days_to(100 * century + part[0], part[1], part[2]) * 86400 + part[3] * 3600 +
		   part[4] * 60 + part[5];
	return true;
}

bool
der_done(const struct der *in)
{
	return in->len == 0;
}

bool
der_equal(const struct der *a, const struct der *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->p, b->p, a->len) == 0);
}

/* --- BER to definite lengths --- */

/* The element at the start of IN, indefinite or not: moves IN past it. PLAIN says that neither it
 * nor anything in it needs rewriting. */
static bool
skip_ber(struct der *in, unsigned depth, bool *plain)
{
	unsigned tag;
	bool indefinite;
	size_t body_len, header = read_header(in, &tag, &body_len, &indefinite);
	struct der body;

	if (!header || depth > DER_MAX_DEPTH || (!indefinite && body_len > in->len - header))
		return false;
	if (indefinite || tag == (DER_OCTETS | 0x20))
		*plain = false;
	body = (struct der){in->p + header, indefinite ? in->len - header : body_len};
	if (tag & 0x20) {
		while (indefinite ? body.len >= 2 && (body.p[0] || body.p[1]) : body.len > 0) {
			if (!skip_ber(&body, depth + 1, plain))
				return false;
		}
		if (indefinite && body.len < 2)
			return false;
	}
	if (indefinite) {
		header = (size_t)(body.p + 2 - in->p);
		body_len = 0;
	}
	in->p += header + body_len;
	in->len -= header + body_len;
	return true;
}

bool
der_is_definite(const void *ber, size_t len)
{
	struct der in = {ber, len};
	bool plain = true;

	return skip_ber(&in, 0, &plain) && plain && der_done(&in);
}

/* Appends the next element of IN to OUT, rewritten where that is needed. BARE leaves out its own
 * header. */
static bool
copy_ber(struct der *in, unsigned depth, bool bare, struct der_out *out)
{
	struct der start = *in, body;
	unsigned tag;
	bool indefinite, plain = true, octets;
	size_t header, body_len, at = der_begin(out);

	if (!skip_ber(in, depth, &plain))
		return false;
	start.len -= in->len;
	header = read_header(&start, &tag, &body_len, &indefinite);
	if (plain) {
		header = bare ? header : 0;
		der_put_raw(out, start.p + header, start.len - header);
		return true;
	}
	octets = tag == (DER_OCTETS | 0x20);
	body = (struct der){start.p + header, start.len - header - (indefinite ? 2 : 0)};
	while (body.len) {
		if (octets && (body.p[0] & ~0x20u) != DER_OCTETS)
			return false;
		if (!copy_ber(&body, depth + 1, octets, out))
			return false;
	}
	if (!bare)
		der_end(out, at, octets ? DER_OCTETS : tag);
	return true;
}

enum rc
der_from_ber(const void *ber, size_t len, struct buf *out, struct err *err)
{
	struct der in = {ber, len};
	struct der_out w = {.buf = *out, .rc = RC_OK, .err = err};
	bool good = copy_ber(&in, 0, false, &w) && der_done(&in);

	*out = w.buf;
	if (w.rc != RC_OK)
		return w.rc;
	return good ? RC_OK : err_set(err, ERR_CMS_MALFORMED, "malformed BER element");
}

/* --- writing --- */

void
der_out_init(struct der_out *out, size_t max, struct err *err)
{
	buf_init(&out->buf, max);
	out->rc = RC_OK;
	out->err = err;
	out->later = 0;
	out->later_at = 0;
}

void
der_out_fini(struct der_out *out)
{
	buf_fini(&out->buf);
}

void
der_put_raw(struct der_out *out, const void *data, size_t len)
{
	if (out->rc == RC_OK && len)
		out->rc = buf_append(&out->buf, data, len, out->err);
}

size_t
der_header(unsigned char out[DER_MAX_HEADER], unsigned tag, uint64_t len)
{
	unsigned n = 0;

	out[0] = (unsigned char)tag;
	if (len < 0x80) {
		out[1] = (unsigned char)len;
		return 2;
	}
	for (uint64_t v = len; v; v >>= 8)
		n++;
	out[1] = (unsigned char)(0x80 | n);
	for (unsigned i = 0; i < n; i++)
		out[2 + i] = (unsigned char)(len >> 8 * (n - 1 - i));
	return 2 + n;
}

void
der_put(struct der_out *out, unsigned tag, const void *data, size_t len)
{
	unsigned char header[DER_MAX_HEADER];

	der_put_raw(out, header, der_header(header, tag, len));
	der_put_raw(out, data, len);
}

void
der_put_int(struct der_out *out, unsigned value)
{
	unsigned char bytes[5] = {0, (unsigned char)(value >> 24), (unsigned char)(value >> 16),
		(unsigned char)(value >> 8), (unsigned char)value};
	size_t from = 0;

	while (from < 4 && bytes[from] == 0 && !(bytes[from + 1] & 0x80))
		from++;
	der_put(out, DER_INTEGER, bytes + from, 5 - from);
}

size_t
der_begin(const struct der_out *out)
{
	return out->buf.len;
}

void
der_end(struct der_out *out, size_t start, unsigned tag)
{
	unsigned char header[DER_MAX_HEADER];
	bool around = out->later_at > start;
	size_t len, n;

	if (out->rc != RC_OK)
		return;
	len = out->buf.len - start;
	n = der_header(header, tag, len + (around ? out->later : 0));
	der_put_raw(out, header, n); /* makes the room */
	if (out->rc != RC_OK)
		return;
	memmove(out->buf.data + start + n, out->buf.data + start, len);
	memcpy(out->buf.data + start, header, n);
	if (around)
		out->later_at += n;
}

void
der_put_later(struct der_out *out, unsigned tag, uint64_t len)
{
	unsigned char header[DER_MAX_HEADER];

	der_put_raw(out, header, der_header(header, tag, len));
	out->later = len;
	out->later_at = out->buf.len;
}

/* X.690 section 11.6: ascending, the shorter one as if padded with zeros. */
static int
compare_items(const void *a, const void *b)
{
	const struct der *x = a, *y = b;
	size_t n = x->len < y->len ? x->len : y->len;
	int c = memcmp(x->p, y->p, n);

	if (c)
		return c;
	return x->len < y->len ? -1 : x->len > y->len;
}

/* Puts the elements that BODY holds in order. */
static enum rc
sort_items(char *body, size_t len, struct err *err)
{
	struct der in = {(const unsigned char *)body, len};
	struct der_item item;
	struct der *items, last = {NULL, 0};
	unsigned char *copy;
	size_t n = 0, at = 0;
	bool sorted = true;

	for (; der_next(&in, &item); n++) {
		sorted = sorted && (n == 0 || compare_items(&last, &item.whole) <= 0);
		last = item.whole;
	}
	if (sorted)
		return RC_OK;
	copy = malloc(len);
	items = calloc(n, sizeof *items);
	if (!copy || !items) {
		free(copy);
		free(items);
		return err_set(err, ERR_MEMORY, "sorting a SET OF");
	}
	memcpy(copy, body, len);
	in = (struct der){copy, len};
	for (size_t i = 0; i < n && der_next(&in, &item); i++)
		items[i] = item.whole;
	qsort(items, n, sizeof *items, compare_items);
	for (size_t i = 0; i < n; i++) {
		memcpy(body + at, items[i].p, items[i].len);
		at += items[i].len;
	}
	free(items);
	free(copy);
	return RC_OK;
}

void
der_end_set_of(struct der_out *out, size_t start, unsigned tag)
{
	if (out->rc == RC_OK && out->buf.len > start)
		out->rc = sort_items(out->buf.data + start, out->buf.len - start, out->err);
	der_end(out, start, tag);
}
