/* SPDX-License-Identifier: BSD-2-Clause */
/* The tests of b64_test.c over the code that machines without AVX2 run. */
#define B64_NO_AVX2
#include "message/b64.c"

#include "tests/unit/message/b64_test.c"
