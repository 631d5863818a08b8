/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * judge.h - the options that `verify` and `cert check` share, and the trust that they make
 */
#ifndef CLI_JUDGE_H
#define CLI_JUDGE_H

#include "cli/cmd.h"
#include "crypto/trust.h"

struct judge {
	struct cmd_values anchors, certs, crls, ocsp, policies;
	const char *at_text, *from, *time_text;
	bool no_revocation, require_policy, inhibit_mapping, inhibit_any, text;
	/* made by judge_open */
	const char *file; /* borrowed: the one that is being added */
	struct trust *trust;
	struct certset extra;     /* of --cert: candidates for signers and paths */
	int64_t at;               /* -1: now */
	enum signature_time time; /* of --time */
};

#define JUDGE_USAGE                                                                                                   \
	"[--anchor FILE]… [--cert FILE|DIR]… [--crl FILE|DIR]… [--ocsp FILE|DIR]… [--at TIME] [--from ADDR] " \
	"[--no-revocation] [--policy OID]… [--require-policy] [--inhibit-mapping] [--inhibit-any] "                 \
	"[--time WORD] [--text]"
#define JUDGE_DETAILS                                                                                   \
	"  --anchor FILE      trust anchors, PEM or DER\n"                                              \
	"  --cert FILE|DIR    more certificates for signers and paths\n"                                \
	"  --crl FILE|DIR     revocation lists; with these, \"unknown\" is not good enough\n"           \
	"  --ocsp FILE|DIR    answers of OCSP responders, in DER; likewise\n"                           \
	"  --at TIME          judge at this time (RFC 3339) instead of now\n"                           \
	"  --from ADDR        the address that the certificate has to carry\n"                          \
	"  --no-revocation    do not check revocation\n"                                                \
	"  --policy OID       certificate policy that is acceptable; without it any\n"                  \
	"  --require-policy, --inhibit-mapping, --inhibit-any\n"                                        \
	"                     as in RFC 5280 section 6.1.1\n"                                           \
	"  --time WORD        when a signer's certificate has to be valid: now (or --at), at receipt\n" \
	"                     (newest Received: field), or at its signing time\n"                       \
	"  --text             an answer a line, with its reason, instead of JSON\n"                     \
	"  -c CONF            the configured anchors, CRLs and floors count too\n"

#define JUDGE_N_OPTS 13
/* Fills OPTS[0 … JUDGE_N_OPTS - 1]. */
void judge_opts(struct judge *judge, struct cmd_opt *opts);
/* After cmd_parse. False: *status, and it was said. */
bool judge_open(const struct command *command, struct cli *cli, struct judge *judge, int *status);
/* Prints the verdict about NAME (a file), as --text or as JSON; returns the exit status. */
int judge_print(const struct judge *judge, const char *name, const struct verdict *verdict);
void judge_close(struct judge *judge);

#endif
