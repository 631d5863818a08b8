/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/stamp.h"

#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAMP_LABEL  "sealgate stamp 1"
#define OPENED_LABEL "sealgate opened 1"
#define FUTURE       300 /* seconds that the clocks of gate and hop may be apart */

const char *
stamp_state_name(enum stamp_state state)
{
	static const char *const names[] = {
		"none", "good", "forged", "unknown-key", "expired", "unfit"};

	return names[state];
}

/* What a message is: fields that nobody changes between gate and hop. */
static const char *const bound[] = {"From", "Sender", "Resent-From", "Resent-Sender", "Reply-To",
	"Subject", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	"Content-Disposition"};

/* These may be added by the MTA where they are missing, so they are bound where they were there. */
static const struct {
	char letter;
	const char *name;
} added[] = {{'d', "Date"}, {'m', "Message-ID"}};

#define N_BOUND (sizeof(bound) / sizeof(bound[0]))
#define N_ADDED (sizeof(added) / sizeof(added[0]))

/* Every field called NAME: how many, and each without its folding, runs of blanks as one. */
static enum rc
feed_fields(const struct hdrs *hdrs, const char *name, const struct sink *sink, struct err *err)
{
	struct buf text = BUF_INIT(HDRS_MAX_BYTES);
	const struct hdr *hdr;
	char count[80];
	enum rc rc;

	snprintf(count, sizeof(count), "%s %zu\n", name, hdrs_count(hdrs, name));
	rc = sink_feed_str(sink, count, err);
	for (size_t i = 0; rc == RC_OK && (hdr = hdrs_find(hdrs, name, i)); i++) {
		size_t n = 0;

		buf_clear(&text);
		rc = hdr_unfold(hdr, &text, err);
		for (size_t k = 0; rc == RC_OK && k < text.len; k++) {
			bool blank = text.data[k] == ' ' || text.data[k] == '\t';

			if (!blank || (n && text.data[n - 1] != ' '))
				text.data[n++] = blank ? ' ' : text.data[k];
		}
		if (rc == RC_OK && n)
			rc = sink_feed(sink, text.data, n, err);
		if (rc == RC_OK)
			rc = sink_feed(sink, "", 1, err); /* a NUL between one and the next */
	}
	buf_fini(&text);
	return rc;
}

/* ADDED: letters of the fields that were there when the stamp was made. */
static enum rc
digest_msg(
	const struct msg *msg, const char *letters, unsigned char out[SHA256_SIZE], struct err *err)
{
	struct hasher *hasher = NULL;
	struct sink sink;
	enum rc rc = hasher_new(1u << DIGEST_SHA256, &hasher, err);

	if (rc != RC_OK)
		return rc;
	sink = hasher_sink(hasher);
	for (size_t i = 0; rc == RC_OK && i < N_BOUND; i++)
		rc = feed_fields(&msg->hdrs, bound[i], &sink, err);
	for (size_t i = 0; rc == RC_OK && i < N_ADDED; i++)
		if (strchr(letters, added[i].letter))
			rc = feed_fields(&msg->hdrs, added[i].name, &sink, err);
	if (rc == RC_OK)
		rc = sink_feed_str(&sink, "body\n", err);
	if (rc == RC_OK)
		rc = spool_send(msg->body, 0, spool_size(msg->body), &sink, err);
	if (rc == RC_OK)
		rc = sink_finish(&sink, err);
	if (rc == RC_OK)
		memcpy(out, hasher_value(hasher, DIGEST_SHA256), SHA256_SIZE);
	hasher_free(&hasher);
	return rc;
}

/* "; NAME=VALUE as hexadecimal digits" on a line of its own: no byte of it can be mistaken. */
static enum rc
append_hex(struct buf *out, const char *name, const void *value, size_t len, struct err *err)
{
	enum rc rc = buf_append_all(out, err, ";\n\t", name, "=", NULL);

	return rc == RC_OK ? buf_append_hex(out, value, len, err) : rc;
}

/* TEXT without blanks and line ends: what is authenticated, however it was folded. */
static enum rc
squeeze(const char *text, size_t len, struct buf *out, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < len; i++)
		if (!strchr(" \t\r\n", text[i]))
			rc = buf_append_char(out, text[i], err);
	return rc;
}

/* Puts "; m=…" behind what stands in OUT. */
static enum rc
append_mac(const struct stamp_keys *keys, const char *label, struct buf *out, struct err *err)
{
	struct buf plain = BUF_INIT(STAMP_MAX);
	unsigned char mac[MAC_SIZE];
	enum rc rc = squeeze(out->data, out->len, &plain, err);

	if (rc == RC_OK)
		rc = stamp_keys_mac(
			keys, stamp_keys_id(keys), label, plain.data, plain.len, mac, err);
	if (rc == RC_OK)
		rc = append_hex(out, "m", mac, sizeof(mac), err);
	buf_fini(&plain);
	return rc;
}

enum rc
stamp_format(const struct stamp_keys *keys, const struct stamp *stamp, const struct msg *msg,
	struct buf *out, struct err *err)
{
	static const char right[] = {[TRI_NO] = 'n', [TRI_YES] = 'y', [TRI_UNKNOWN] = 'u'};
	unsigned char digest[SHA256_SIZE];
	char letters[N_ADDED + 1] = "";
	size_t n = 0;
	enum rc rc;

	for (size_t i = 0; i < N_ADDED; i++)
		if (hdrs_find(&msg->hdrs, added[i].name, 0))
			letters[n++] = added[i].letter;
	rc = digest_msg(msg, letters, digest, err);
	if (rc == RC_OK)
		rc = buf_appendf(out, err, " v=1; k=%s; t=%lld; r=%c; h=%s", stamp_keys_id(keys),
			(long long)stamp->time, right[stamp->right], letters);
	if (rc == RC_OK)
		rc = append_hex(out, "s", stamp->service, strlen(stamp->service), err);
	if (rc == RC_OK)
		rc = append_hex(out, "i", stamp->identity, strlen(stamp->identity), err);
	if (rc == RC_OK)
		rc = append_hex(out, "a", stamp->client, strlen(stamp->client), err);
	if (rc == RC_OK)
		rc = append_hex(out, "c", stamp->connector, strlen(stamp->connector), err);
	if (rc == RC_OK)
		rc = append_hex(out, "b", digest, sizeof(digest), err);
	return rc == RC_OK ? append_mac(keys, STAMP_LABEL, out, err) : rc;
}

/* A field of ours in pieces, without blanks. */
struct pieces {
	struct buf text; /* NUL after each piece */
	const char *at;  /* the next one; NULL behind the last */
};

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Hexadecimal digits as bytes and a NUL; false when they are none, or too many. */
static bool
unhex(const char *digits, char *out, size_t size)
{
	size_t len = strlen(digits);

	if (len % 2 || len / 2 >= size)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_hex(digits[i]))
			return false;
	for (size_t i = 0; i < len; i += 2) {
		char two[3] = {digits[i], digits[i + 1], '\0'};

		out[i / 2] = (char)strtol(two, NULL, 16);
	}
	out[len / 2] = '\0';
	return memchr(out, '\0', len / 2) == NULL;
}

/* The value of the next piece, which has to be NAME's; NULL when it is another's. */
static const char *
next_piece(struct pieces *pieces, const char *name)
{
	const char *piece = pieces->at;
	size_t len = strlen(name);

	if (!piece || strncmp(piece, name, len) != 0 || piece[len] != '=')
		return NULL;
	pieces->at = piece + strlen(piece) + 1;
	if (pieces->at >= pieces->text.data + pieces->text.len)
		pieces->at = NULL;
	return piece + len + 1;
}

/* Is MAC, in digits, that of the LEN bytes before it? */
static enum rc
check_mac(const struct stamp_keys *keys, const char *label, const char *text, size_t len,
	const char *mac, enum stamp_state *state, struct err *err)
{
	unsigned char want[MAC_SIZE];
	char id[STAMP_KEYID_SIZE] = "";
	struct buf hex = BUF_INIT(0);
	enum rc rc;

	if (len < 6 + sizeof(id) - 1 || strncmp(text, "v=1;k=", 6) != 0)
		return RC_OK;
	memcpy(id, text + 6, sizeof(id) - 1);
	rc = stamp_keys_mac(keys, id, label, text, len, want, err);
	if (rc == RC_NONE) {
		*state = STAMP_UNKNOWN;
		return RC_OK;
	}
	if (rc == RC_OK)
		rc = buf_append_hex(&hex, want, sizeof(want), err);
	if (rc == RC_OK && secret_compare(hex.data, mac, hex.len) == 0)
		*state = STAMP_GOOD;
	buf_fini(&hex);
	return rc;
}

/*
 * Reads HDR and looks whether its MAC, which stands last, is one of LABEL's. What is too long, or
 * no text, or in another form, is as forged as what has a bad MAC.
 */
static enum rc
open_field(const struct stamp_keys *keys, const struct hdr *hdr, const char *label,
	struct pieces *pieces, enum stamp_state *state, struct err *err)
{
	const char *mac;
	enum rc rc;

	*state = STAMP_FORGED;
	buf_init(&pieces->text, STAMP_MAX);
	if (hdr->value_len >= STAMP_MAX || memchr(hdr->value, '\0', hdr->value_len))
		return RC_OK;
	rc = squeeze(hdr->value, hdr->value_len, &pieces->text, err);
	mac = rc == RC_OK ? strrchr(buf_text(&pieces->text), ';') : NULL;
	if (!mac || strncmp(mac, ";m=", 3) != 0 || strlen(mac + 3) != 2 * MAC_SIZE)
		return rc;
	rc = check_mac(keys, label, pieces->text.data, (size_t)(mac - pieces->text.data), mac + 3,
		state, err);
	for (char *p = pieces->text.data; *p; p++)
		*p = *p == ';' ? '\0' : *p;
	pieces->at = pieces->text.data;
	return rc;
}

/* Of a stamp whose MAC is good. False would be a stamp of a later sealgate. */
static bool
read_stamp(struct pieces *pieces, struct stamp *stamp, const char **letters, const char **digest)
{
	const char *right, *text;

	if (!next_piece(pieces, "v") || !next_piece(pieces, "k") ||
		!(text = next_piece(pieces, "t")))
		return false;
	stamp->time = strtoll(text, NULL, 10);
	right = next_piece(pieces, "r");
	*letters = next_piece(pieces, "h");
	if (!right || !*letters)
		return false;
	stamp->right = *right == 'y' ? TRI_YES : *right == 'u' ? TRI_UNKNOWN : TRI_NO;
	text = next_piece(pieces, "s");
	if (!text || !unhex(text, stamp->service, sizeof(stamp->service)))
		return false;
	text = next_piece(pieces, "i");
	if (!text || !unhex(text, stamp->identity, sizeof(stamp->identity)))
		return false;
	text = next_piece(pieces, "a");
	if (!text || !unhex(text, stamp->client, sizeof(stamp->client)))
		return false;
	text = next_piece(pieces, "c");
	if (!text || !unhex(text, stamp->connector, sizeof(stamp->connector)))
		return false;
	*digest = next_piece(pieces, "b");
	return *digest != NULL;
}

/* A field whose MAC is good: is it of this message, and in time? */
static enum rc
judge(struct pieces *pieces, const struct msg *msg, int64_t now, int64_t lifetime,
	struct stamp *out, enum stamp_state *state, struct err *err)
{
	unsigned char digest[SHA256_SIZE];
	struct buf hex = BUF_INIT(0);
	const char *letters = NULL, *want = NULL;
	enum rc rc;

	if (!read_stamp(pieces, out, &letters, &want)) {
		*state = STAMP_UNFIT;
		return RC_OK;
	}
	if (out->time > now + FUTURE || out->time + lifetime < now) {
		*state = STAMP_EXPIRED;
		return RC_OK;
	}
	rc = digest_msg(msg, letters, digest, err);
	if (rc == RC_OK)
		rc = buf_append_hex(&hex, digest, sizeof(digest), err);
	if (rc == RC_OK)
		*state = strcmp(buf_text(&hex), want) == 0 ? STAMP_GOOD : STAMP_UNFIT;
	buf_fini(&hex);
	return rc;
}

/* One of ours counts more than what somebody put beside it; of two of ours, none. */
static enum stamp_state
worse(enum stamp_state a, enum stamp_state b)
{
	static const int rank[] = {[STAMP_NONE] = 0,
		[STAMP_FORGED] = 1,
		[STAMP_UNKNOWN] = 2,
		[STAMP_GOOD] = 3,
		[STAMP_EXPIRED] = 4,
		[STAMP_UNFIT] = 5};

	if (a == STAMP_GOOD && b == STAMP_GOOD)
		return STAMP_UNFIT;
	return rank[a] > rank[b] ? a : b;
}

enum rc
stamp_check(const struct stamp_keys *keys, const struct msg *msg, int64_t now, int64_t lifetime,
	struct stamp *out, enum stamp_state *state, struct err *err)
{
	struct stamp one = {.time = 0};
	const struct hdr *hdr;
	enum rc rc = RC_OK;

	*state = STAMP_NONE;
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; rc == RC_OK && *state != STAMP_UNFIT &&
			   (hdr = hdrs_find(&msg->hdrs, STAMP_MARK, i));
		i++) {
		struct pieces pieces = {.at = NULL};
		enum stamp_state here;

		rc = open_field(keys, hdr, STAMP_LABEL, &pieces, &here, err);
		if (rc == RC_OK && here == STAMP_GOOD)
			rc = judge(&pieces, msg, now, lifetime, &one, &here, err);
		if (rc == RC_OK && here == STAMP_GOOD)
			*out = one;
		*state = worse(*state, here);
		buf_fini(&pieces.text);
	}
	if (rc != RC_OK || *state != STAMP_GOOD)
		memset(out, 0, sizeof(*out));
	return rc;
}

enum rc
opened_format(const struct stamp_keys *keys, const char *authserv_id, int64_t now, struct buf *out,
	struct err *err)
{
	char domain[251];
	enum rc rc;

	text_copy(domain, sizeof(domain), authserv_id);
	if (!keys)
		return buf_append_all(out, err, " ", domain, NULL);
	rc = buf_append_all(out, err, " v=1; k=", stamp_keys_id(keys), "; t=", LOG_NUM(now),
		"; d=", domain, NULL);
	return rc == RC_OK ? append_mac(keys, OPENED_LABEL, out, err) : rc;
}

enum rc
opened_check(const struct stamp_keys *keys, const struct hdr *hdr, int64_t now, int64_t lifetime,
	bool *ours, struct err *err)
{
	struct pieces pieces = {.at = NULL};
	enum stamp_state state = STAMP_GOOD;
	const char *text;
	enum rc rc = RC_OK;

	*ours = !keys;
	if (!keys)
		return RC_OK;
	rc = open_field(keys, hdr, OPENED_LABEL, &pieces, &state, err);
	if (rc == RC_OK && state == STAMP_GOOD) {
		(void)next_piece(&pieces, "v");
		(void)next_piece(&pieces, "k");
		text = next_piece(&pieces, "t");
		*ours = text && strtoll(text, NULL, 10) + lifetime >= now;
	}
	buf_fini(&pieces.text);
	return rc;
}
