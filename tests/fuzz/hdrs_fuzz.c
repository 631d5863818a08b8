/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/fuzz.h"

#include "message/addr.h"
#include "message/charset.h"
#include "message/hdr_text.h"
#include "message/mime.h"

#include <stdlib.h>
#include <string.h>

/* Nothing cut: the same bytes. Some characters cut: a field that reads as what is left of it. */
static void
cut_field(const struct hdr *hdr)
{
	struct buf out = BUF_INIT(64u << 20);
	struct err err = ERR_INIT;
	struct hdr_text text;
	bool *cut;

	if (hdr_text_parse(hdr, &text, &err) == RC_OK) {
		cut = calloc(text.n + 1, sizeof(*cut));
		FUZZ_CHECK(cut != NULL);
		FUZZ_CHECK(hdr_text_cut(&text, cut, &out, &err) == RC_OK);
		FUZZ_CHECK(out.len == hdr->value_len &&
			   memcmp(buf_text(&out), hdr->value, out.len) == 0);
		for (size_t i = 0; i < text.n; i++)
			cut[i] = i % 3 == 0;
		buf_clear(&out);
		FUZZ_CHECK(hdr_text_cut(&text, cut, &out, &err) == RC_OK);
		memset(cut, 1, text.n);
		buf_clear(&out);
		FUZZ_CHECK(hdr_text_cut(&text, cut, &out, &err) == RC_OK);
		FUZZ_CHECK(out.len <= hdr->value_len);
		free(cut);
	} else {
		FUZZ_CHECK(hdr->value_len > HDR_TEXT_MAX);
	}
	hdr_text_fini(&text);
	buf_fini(&out);
}

/* Everything that reads one field. */
static void
read_field(const struct hdr *hdr)
{
	struct buf text = BUF_INIT(64u << 20);
	struct err err = ERR_INIT;
	struct addrlist list;
	struct ctype ctype;

	FUZZ_CHECK(hdr_decode(hdr, &text, &err) == RC_OK);
	FUZZ_CHECK(utf8_is_valid(buf_text(&text), text.len));
	buf_fini(&text);
	cut_field(hdr);
	if (addrlist_parse(hdr->value, hdr->value_len, &list, &err) == RC_OK)
		for (size_t i = 0; i < list.n; i++) { /* canonical is a fixed point */
			char again[ADDR_MAX + 1];

			FUZZ_CHECK(
				addr_canonical(list.v[i], strlen(list.v[i]), again, &err) == RC_OK);
			FUZZ_CHECK(strcmp(list.v[i], again) == 0);
		}
	addrlist_fini(&list);
	if (ctype_parse(hdr->value, hdr->value_len, &ctype, &err) == RC_OK)
		FUZZ_CHECK(ctype.type != NULL);
	ctype_fini(&ctype);
}

/* Writes and parses again: the same fields. */
static void
round_trip(const struct hdrs *hdrs)
{
	struct buf first = BUF_INIT(2 * HDRS_MAX_BYTES), second = BUF_INIT(2 * HDRS_MAX_BYTES);
	struct sink sink = sink_to_buf(&first);
	struct err err = ERR_INIT;
	struct hdrs again;
	size_t used;

	FUZZ_CHECK(hdrs_write(hdrs, &sink, &err) == RC_OK);
	FUZZ_CHECK(first.len == hdrs->bytes);
	FUZZ_CHECK(hdrs_parse(buf_text(&first), first.len, &again, &used, &err) == RC_OK);
	FUZZ_CHECK(used == first.len && again.n == hdrs->n);
	sink = sink_to_buf(&second);
	FUZZ_CHECK(hdrs_write(&again, &sink, &err) == RC_OK);
	FUZZ_CHECK(first.len == second.len &&
		   memcmp(buf_text(&first), buf_text(&second), first.len) == 0);
	hdrs_fini(&again);
	buf_fini(&first);
	buf_fini(&second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	struct hdrs hdrs;
	size_t used;

	if (hdrs_parse((const char *)data, len, &hdrs, &used, &err) == RC_OK) {
		FUZZ_CHECK(used <= len);
		for (size_t i = 0; i < hdrs.n; i++)
			read_field(&hdrs.v[i]);
		round_trip(&hdrs);
	}
	hdrs_fini(&hdrs);
	return 0;
}
