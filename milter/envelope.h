/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * envelope.h - MAIL and RCPT as the client gave them: nothing of it carries over to a copy by
 * itself
 *
 * Addresses are kept as they came, for local parts belong to their own hosts; what the policy looks
 * at is the canonical form, elsewhere. Parameters that we do not know are not handed on.
 *
 * Limits: ENVELOPE_MAX_PARAM bytes in a parameter, ENVELOPE_MAX_ADDR in an address.
 */
#ifndef MILTER_ENVELOPE_H
#define MILTER_ENVELOPE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENVELOPE_MAX_PARAM 1000u
#define ENVELOPE_MAX_ADDR  1000u

struct envelope_client { /* "": not known */
	char name[256], addr[64], port[8], helo[256];
	char host[256]; /* the MTA's own name */
};

struct envelope_rcpt {
	char *addr;           /* with <>, if the MTA gave them */
	char *notify, *orcpt; /* values without the name and "="; or NULL */
};

struct envelope {
	char *sender; /* with <>, if the MTA gave them */
	char *ret, *envid;
	bool eightbit, smtputf8;
	bool extended; /* MAIL had parameters, so it was EHLO */
	bool local;    /* from sendmail(1): no dialogue */
	uint64_t size; /* as announced; 0: not */
	struct envelope_rcpt *rcpts;
	size_t n, cap;
};

/* Is ADDRESS, as libmilter has it, of mail from sendmail(1)? Those are given without brackets. */
bool envelope_is_local(const char *address);
/* ARGV: address and parameters, as libmilter has them; ended by NULL. Fills ENVELOPE, which is zero
 * or finished. */
enum rc envelope_mail(struct envelope *envelope, char *const *argv, struct err *err);
enum rc envelope_rcpt(struct envelope *envelope, char *const *argv, struct err *err);
void envelope_fini(struct envelope *envelope);

#endif
