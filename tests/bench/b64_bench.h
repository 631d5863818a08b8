/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * b64_bench.h - our base64 against EVP's, in CPU time for each byte of content
 */
#ifndef TESTS_BENCH_B64_BENCH_H
#define TESTS_BENCH_B64_BENCH_H

/* Prints one line for each way; false when something did not work. */
int bench_b64(void);

#endif
