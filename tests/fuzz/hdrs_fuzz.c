/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/fuzz.h"

#include "message/addr.h"
#include "message/charset.h"
#include "message/mime.h"

#include <string.h>

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
