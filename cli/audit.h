/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit.h - what the files of sealgate audit … share
 */
#ifndef CLI_AUDIT_H
#define CLI_AUDIT_H

#include "cli/answer.h"
#include "keystore/ledger_search.h"

extern const struct command audit_show, audit_search, audit_export, audit_report, audit_index,
	audit_reconcile;
extern const struct command audit_verify, audit_anchor, audit_retire, audit_erase;

/* The ledger's folder: --dir, or the configuration's. False: *status is what to return. */
bool audit_dir(const struct command *command, struct cli *cli, const char *opt, const char **dir,
	int *status);

/* TEXT (NULL: not given) of the option --NAME in the form of the records' times. False: 64, said.
 */
bool audit_time(const struct command *command, const char *name, const char *text,
	char out[CLOCK_TEXT_SIZE], const char **set, int *status);

/* The options that say which records are wanted, as they were given. */
struct audit_options {
	const char *dir, *index, *key, *qid, *rule, *service, *event, *type, *request, *seq;
	const char *address, *recipient, *person, *since, *until;
	bool reopen, no_index;
};
#define AUDIT_N_OPTIONS 17
#define AUDIT_MAX_OWN   8 /* options that a command has besides these */
/* Puts them into OPTS, behind which there is room for AUDIT_MAX_OWN of the command's own. */
void audit_options(struct audit_options *options, struct cmd_opt opts[AUDIT_N_OPTIONS]);
#define AUDIT_FILTER_USAGE                                                                          \
	"[--dir DIR] [--person P] [--address A] [--recipient A] [--key KEY] [--qid ID] [--rule R] " \
	"[--service S] [--event E] [--type T] [--request ID] [--reopen] [--seq N[-N]] "             \
	"[--since TIME] [--until TIME] [--index FOLDER] [--no-index]"
#define AUDIT_FILTER_DETAILS                                                                         \
	"  --dir DIR          the ledger's folder; default: ledger.dir of the configuration\n"       \
	"  --person P         a person's id or address: all addresses and keys of that person;\n"    \
	"                     the vault tells them\n"                                                \
	"  --address A        sender, login, recipient or subject; the vault tells its pseudonyms\n" \
	"  --recipient A      recipient or subject only\n"                                           \
	"  --key KEY          key id, or the fingerprint of its certificate\n"                       \
	"  --qid ID           queue id of the message\n"                                             \
	"  --rule R           name of a rule\n"                                                      \
	"  --service S        name of a service\n"                                                   \
	"  --event E          sign, open, done, key.new, …\n"                                      \
	"  --type T           intent, outcome, denied, decision, admin, checkpoint, …\n"           \
	"  --request ID       an officers' request\n"                                                \
	"  --reopen           only what was opened before\n"                                         \
	"  --seq N[-N]        numbers of records\n"                                                  \
	"  --since, --until   RFC 3339 times or dates; until is not included\n"                      \
	"  --index FOLDER     where the index is kept; default: index in the ledger's folder\n"      \
	"  --no-index         read every record\n"

/* What the options mean. */
struct audit_filter {
	struct ledger_query query;
	struct ledger_search search; /* its query is the one above */
	char since[CLOCK_TEXT_SIZE], until[CLOCK_TEXT_SIZE];
	char **texts; /* what the query borrows */
	size_t n_texts;
	char **erased; /* months whose pseudonyms nobody can tell, although records have them */
	size_t n_erased;
	char **names; /* "PSEUDONYM ADDRESS" of the addresses that were asked for */
	size_t n_names;
};
/* False: *status is what to return, and it was said. FILTER is to be ended in any case. */
bool audit_filter_init(struct audit_filter *filter, const struct command *command, struct cli *cli,
	const struct audit_options *options, int *status);
void audit_filter_fini(struct audit_filter *filter);
/* Searches, and says what there is to say about the index. The exit status. */
int audit_find(struct audit_filter *filter, ledger_found *each, void *ctx);

#endif
