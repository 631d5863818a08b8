/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay.c - runs a fuzz target over the files that are named, where there is no libFuzzer
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_BYTES (16u << 20)

int
main(int argc, char **argv)
{
	unsigned char *data = malloc(MAX_BYTES);

	if (!data)
		return 75;
	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		unsigned char *block;
		size_t n;

		if (!f) {
			perror(argv[i]);
			free(data);
			return 66;
		}
		n = fread(data, 1, MAX_BYTES, f);
		(void)fclose(f);
		/* A block of the exact size, so that a sanitizer sees an over-read. */
		block = realloc(NULL, n ? n : 1);
		if (!block)
			return 75;
		for (size_t k = 0; k < n; k++)
			block[k] = data[k];
		(void)LLVMFuzzerTestOneInput(block, n);
		free(block);
	}
	free(data);
	return 0;
}
