/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/envelope.h"

#include "tests/unit/unit.h"

#include <stdlib.h>

#define ARGS(...) ((char *const[]){__VA_ARGS__, NULL})

static char *
text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static void
test_mail(void **state)
{
	struct envelope e = {0};

	(void)state;
	assert_int_equal(envelope_mail(&e,
				 ARGS(text("<Alice@example.org>"), text("SIZE=1234"),
					 text("ret=HDRS"), text("ENVID=a+2Bb"), text("RET=FULL"),
					 text("BODY=8BITMIME"), text("smtputf8"), text("AUTH=<>")),
				 NULL),
		RC_OK);
	CHECK_STR("as given", e.sender, "<Alice@example.org>");
	CHECK_STR("the first counts", e.ret, "HDRS");
	CHECK_STR("envid", e.envid, "a+2Bb");
	CHECK_INT("size", e.size, 1234);
	assert_true(e.eightbit && e.smtputf8 && e.extended && !e.local);
	envelope_fini(&e);
	assert_int_equal(envelope_mail(&e, ARGS(text("<>")), NULL), RC_OK);
	CHECK_STR("null", e.sender, "<>");
	assert_true(!e.eightbit && !e.smtputf8 && !e.extended && !e.local && !e.ret && !e.envid);
	envelope_fini(&e);
	assert_int_equal(envelope_mail(&e, ARGS(text("alice"), text("BODY=7BIT")), NULL), RC_OK);
	assert_true(!e.eightbit && e.local);
	envelope_fini(&e);
}

static void
test_rcpt(void **state)
{
	struct envelope e = {0};

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(
			envelope_rcpt(&e,
				ARGS(text("<\"a b\"@example.org>"), text("NOTIFY=SUCCESS,DELAY"),
					text("ORCPT=rfc822;c+2Bx@d"), text("NOTIFYX=NEVER")),
				NULL),
			RC_OK);
	assert_int_equal(envelope_rcpt(&e, ARGS(text("<b@c>")), NULL), RC_OK);
	CHECK_INT("recipients", e.n, 21);
	CHECK_STR("as given", e.rcpts[19].addr, "<\"a b\"@example.org>");
	CHECK_STR("notify", e.rcpts[19].notify, "SUCCESS,DELAY");
	CHECK_STR("orcpt", e.rcpts[19].orcpt, "rfc822;c+2Bx@d");
	assert_true(!e.rcpts[20].notify && !e.rcpts[20].orcpt);
	envelope_fini(&e);
	assert_int_equal(e.n, 0);
}

/* Nothing of any length is kept. */
static void
test_limits(void **state)
{
	struct envelope e = {0};
	char *addr = malloc(ENVELOPE_MAX_ADDR + 2), *param = malloc(ENVELOPE_MAX_PARAM + 10);
	struct err err = ERR_INIT;

	(void)state;
	memset(addr, 'a', ENVELOPE_MAX_ADDR + 1);
	addr[ENVELOPE_MAX_ADDR + 1] = '\0';
	memset(param, 'a', ENVELOPE_MAX_PARAM + 9);
	param[ENVELOPE_MAX_PARAM + 9] = '\0';
	CHECK_INT("address", envelope_mail(&e, ARGS(addr), &err), RC_PERM);
	envelope_fini(&e);
	CHECK_INT("recipient", envelope_rcpt(&e, ARGS(addr), &err), RC_PERM);
	envelope_fini(&e);
	memcpy(param, "ENVID=", 6);
	CHECK_INT("envid", envelope_mail(&e, ARGS(text("<>"), param), &err), RC_PERM);
	envelope_fini(&e);
	memcpy(param, "ORCPT=", 6);
	CHECK_INT("orcpt", envelope_rcpt(&e, ARGS(text("<b@c>"), param), &err), RC_PERM);
	envelope_fini(&e);
	free(addr);
	free(param);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_mail), cmocka_unit_test(test_rcpt),
		cmocka_unit_test(test_limits)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
