/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulk_fuzz.c - tables, lists and maps of services, distinguished names, certificates that come
 * back
 *
 * The first byte says as what the rest is read.
 */
#include "cli/bulk_form.h"
#include "cli/bulk_status.h"
#include "crypto/csr.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static const char status_map[] =
	"form = status\ncolumn 1 = dn\ncolumn 2 = address\ncolumn 4 = not-after\nany = serial\n"
	"any = state\nstate revoked = x|y\nignore 3 = z\n";
static const char issue_map[] = "form = issue\ndn = CN={address},OU={name}\ndn-max = 100\n"
				"allow OU = ,\ncolumn 1 required = {dn}\ncolumn 3 max=9 = {name}\n";

/* A list beside one key; a table of people in a form. What was read can be written. */
static void
table(const uint8_t *data, size_t len)
{
	const struct tsv_style style = {false, true};
	struct bulk_key key = {
		.id = "k", .status = "active", .serial = "0badc0de99", .issuer = "x"};
	struct bulk_owner owner = {"a@x.jp", 0};
	struct bulk_keys keys = {.v = &key, .n = 1, .owners = &owner, .n_owners = 1};
	struct bulk_report report;
	struct bulk_map map;
	struct tsv tsv;

	if (tsv_parse(data, len, "list", &tsv, NULL) != RC_OK)
		return;
	for (size_t i = 0; i < tsv.n && i < 100; i++) {
		struct buf out = BUF_INIT(1u << 22);
		struct tsv again;

		FUZZ_CHECK(tsv_append_row(&style, tsv.rows[i].v, tsv.rows[i].n, 1, &out, NULL) ==
			   RC_OK);
		FUZZ_CHECK(tsv_parse(out.data, out.len, "again", &again, NULL) == RC_OK);
		FUZZ_CHECK(again.n == 1 && again.rows[0].n == tsv.rows[i].n);
		tsv_fini(&again);
		buf_fini(&out);
	}
	if (bulk_map_parse(status_map, sizeof(status_map) - 1, "map", &map, NULL) != RC_OK)
		__builtin_trap();
	if (bulk_compare(&map, &tsv, &keys, 1790000000, &report, NULL) == RC_OK)
		bulk_report_fini(&report);
	bulk_map_fini(&map);
	if (bulk_map_parse(issue_map, sizeof(issue_map) - 1, "map", &map, NULL) != RC_OK)
		__builtin_trap();
	for (size_t i = 1; i < tsv.n && i < 100; i++) {
		struct bulk_facts facts = {
			.addr = tsv_field(&tsv.rows[i], 1), .people = &tsv, .person = &tsv.rows[i]};
		struct buf out = BUF_INIT(1u << 20);

		/* A row that was refused leaves nothing behind, one that was not is one row. */
		if (bulk_append_row(&map, &facts, i, &out, NULL) != RC_OK)
			FUZZ_CHECK(out.len == 0);
		else
			FUZZ_CHECK(memchr(out.data, '\n', out.len) == out.data + out.len - 1);
		buf_fini(&out);
	}
	bulk_map_fini(&map);
	tsv_fini(&tsv);
}

static void
map(const uint8_t *data, size_t len)
{
	struct bulk_facts facts = {.addr = "a@x.jp", .serial = "0f", .name = "n"};
	struct buf out = BUF_INIT(1u << 20);
	struct bulk_map map;

	if (bulk_map_parse((const char *)data, len, "map", &map, NULL) != RC_OK)
		return;
	(void)bulk_append_row(&map, &facts, 1, &out, NULL);
	bulk_finish(&map, &out);
	bulk_map_fini(&map);
	buf_fini(&out);
}

/* A name that was read is the same when it was written and read again. */
static void
name(const uint8_t *data, size_t len)
{
	struct buf text = BUF_INIT(1u << 16);
	struct dn dn, again;

	if (dn_parse((const char *)data, len, &dn, NULL) != RC_OK)
		return;
	FUZZ_CHECK(dn_format(&dn, &text, NULL) == RC_OK);
	if (text.len <= DN_MAX_BYTES) {
		FUZZ_CHECK(dn_parse(text.data, text.len, &again, NULL) == RC_OK);
		FUZZ_CHECK(dn_same(&dn, &again));
		dn_fini(&again);
	}
	(void)csr_check_subject(&dn, NULL);
	dn_fini(&dn);
	buf_fini(&text);
}

static void
certificates(const uint8_t *data, size_t len)
{
	char fingerprint[2 * SHA256_SIZE + 1];
	struct certset set = {0};

	cert_cache_limit(0);
	if (certset_parse(data, len, &set, NULL) == RC_OK)
		for (size_t i = 0; i < set.n; i++) {
			size_t n;
			const unsigned char *spki = cert_spki(set.v[i], &n);

			(void)spki_fingerprint(spki, n, fingerprint, NULL);
			for (size_t k = 0; k < set.n && k < 4; k++)
				(void)cert_is_issued_by(set.v[i], set.v[k]);
		}
	certset_fini(&set);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	switch (data[0] & 3) {
	case 0:
		table(data + 1, len - 1);
		break;
	case 1:
		map(data + 1, len - 1);
		break;
	case 2:
		name(data + 1, len - 1);
		break;
	default:
		certificates(data + 1, len - 1);
	}
	return 0;
}
