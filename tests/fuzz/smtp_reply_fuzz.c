/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * smtp_reply_fuzz.c - an SMTP server's replies: what is a reply lies in the input, is printable and
 * has its codes, and what is whole stays the same when more follows
 */
#include "tests/fuzz/fuzz.h"

#include "milter/smtp_reply.h"

#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct err err = ERR_INIT;
	struct smtp_reply reply, again;
	struct smtp_caps caps;
	size_t at = 0, used, used_again;

	for (;;) {
		enum rc rc = smtp_reply_parse(text + at, size - at, &reply, &used, &caps, &err);

		FUZZ_CHECK(rc == RC_OK || rc == RC_NONE || rc == RC_TEMP);
		if (rc != RC_OK) {
			FUZZ_CHECK(used == 0 && (rc == RC_NONE || err.code == ERR_PORT_ANSWER));
			return 0;
		}
		FUZZ_CHECK(used >= 4 && used <= size - at);
		FUZZ_CHECK(reply.code >= 200 && reply.code <= 599);
		FUZZ_CHECK(reply.enhanced[0] == '0' + reply.code / 100);
		for (const char *p = reply.text; *p; p++)
			FUZZ_CHECK(*p >= ' ' && *p <= '~');
		rc = smtp_reply_parse(text + at, used, &again, &used_again, NULL, &err);
		FUZZ_CHECK(rc == RC_OK && used_again == used && !strcmp(again.text, reply.text));
		at += used;
	}
}
