/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz.h - the entry point of every fuzz target
 *
 * configure CC=clang --enable-fuzzers --enable-sanitizers builds them for libFuzzer; otherwise they
 * are programs that take files (replay.c).
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every input. */
#define FUZZ_CHECK(condition)             \
	do {                              \
		if (!(condition))         \
			__builtin_trap(); \
	} while (0)

#endif
