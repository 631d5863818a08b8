/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * import_fuzz.c - what is imported from elsewhere: key files with and without a password, tables,
 * ZIP archives. The first byte says which.
 */
#include "cli/import_table.h"
#include "cli/text_file.h"
#include "cli/zip_read.h"
#include "crypto/p12.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define ENTRY_MAX 65536

static void
key_file(const uint8_t *data, size_t len)
{
	struct secret *password = NULL;
	struct certset certs;
	struct p12 p12;
	struct err err = ERR_INIT;

	if (p12_look(data, len, &certs, &err) == RC_OK)
		certset_fini(&certs);
	if (len > 4096 || secret_copy("s\xc3\xa9", 3, &password, &err) != RC_OK)
		return;
	if (p12_parse(data, len, password, &p12, &err) == RC_OK) {
		FUZZ_CHECK(p12.n > 0 && p12.n <= P12_MAX_KEYS);
		for (size_t i = 0; i < p12.n; i++)
			if (p12.items[i].cert)
				(void)p12_check_pair(p12.items[i].pkey, p12.items[i].cert, &err);
	}
	p12_fini(&p12);
	secret_free(&password);
}

static void
table(const uint8_t *data, size_t len)
{
	static const char *const columns[] = {NULL, "3,2,1", "0,1,2"};
	struct import_table rows;
	struct secret *text;

	for (size_t i = 0; i < 3; i++) {
		if (text_decode(data, len, &text, NULL) != RC_OK)
			return;
		if (import_table_parse(&text, "table", columns[i], i == 1, &rows, NULL) != RC_OK)
			continue;
		for (size_t k = 0; k < rows.n; k++)
			FUZZ_CHECK(rows.rows[k].file && *rows.rows[k].file &&
				   strlen(rows.rows[k].file) <= secret_len(rows.text));
		import_table_fini(&rows);
	}
}

static void
archive(const uint8_t *data, size_t len)
{
	struct zip_read *zip;

	if (zip_read_memory(data, len, &zip, NULL) != RC_OK)
		return;
	for (size_t i = 0; i < zip_read_count(zip) && i < 100; i++) {
		struct secret *entry = NULL;

		(void)zip_read_name(zip, i);
		if (zip_read_entry(zip, i, ENTRY_MAX, &entry, NULL) == RC_OK)
			FUZZ_CHECK(secret_len(entry) <= ENTRY_MAX);
		secret_free(&entry);
	}
	zip_read_close(&zip);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const kinds[])(const uint8_t *, size_t) = {key_file, table, archive};

	cert_cache_limit(0); /* each input is parsed anew */
	if (len > 0)
		kinds[data[0] % 3](data + 1, len - 1);
	return 0;
}
