/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cert_store.c - what the commands on the store share; sealgate cert pin, unpin, forget
 */
#include "cli/cert.h"

#include "base/clock.h"
#include "message/addr.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_BYTES (64u << 10)

static int run_pin(struct cli *cli, int argc, char **argv);
static int run_unpin(struct cli *cli, int argc, char **argv);
static int run_forget(struct cli *cli, int argc, char **argv);

const struct command cert_pin = {
	.name = "cert pin",
	.usage = "[--address A] [--why TEXT] [--force] [--json] FINGERPRINT",
	.help = "use this certificate and no other for its addresses",
	.details =
		"A pinned certificate decides even when it cannot be used: mail waits then. One\n"
		"that has expired, or is not for encryption, is refused.\n"
		"  --address A        for this address only\n"
		"  --force            also one that cannot be used\n"
		"  --why TEXT         is kept in the history\n",
	.run = run_pin,
};
const struct command cert_unpin = {
	.name = "cert unpin",
	.usage = "[--address A] [--why TEXT] [--json] FINGERPRINT",
	.help = "take a pin back",
	.details = "  --address A        for this address only\n"
		   "  --why TEXT         is kept in the history\n",
	.run = run_unpin,
};
const struct command cert_forget = {
	.name = "cert forget",
	.usage = "[--address A] [--why TEXT] [--erase] [--json] FINGERPRINT",
	.help = "take a certificate or an anchor out of the store",
	.details = "The history goes on to tell of it.\n"
		   "  --address A        under this address only\n"
		   "  --why TEXT         is kept in the history\n"
		   "  --erase            the history too: nothing is left of it\n",
	.run = run_forget,
};

const char *
cert_tier_name(enum tier tier)
{
	switch (tier) {
	case TIER_PINNED:
		return "pinned";
	case TIER_DOMAIN_FIRST:
		return "domain-first";
	case TIER_DIRECTORY:
		return "directory";
	case TIER_SMIMEA:
		return "smimea";
	case TIER_HARVESTED:
		return "harvested";
	case TIER_DOMAIN:
		return "domain";
	}
	return "unknown";
}

const char *
cert_use_name(const struct cert *cert)
{
	bool sign = cert_allows(cert, CERT_SIGN), encrypt = cert_allows(cert, CERT_ENCRYPT);

	return sign && encrypt ? "sign and encrypt"
	       : sign          ? "sign only"
	       : encrypt       ? "encrypt only"
			       : "neither sign nor encrypt";
}

const char *
cert_note(const struct cert *cert, char *out)
{
	char day[CLOCK_TEXT_SIZE];
	struct err err = ERR_INIT;

	if (cert_not_after(cert) < clock_now())
		snprintf(out, CERT_NOTE_SIZE, "expired %.10s",
			clock_format(cert_not_after(cert), day));
	else if (cert_not_before(cert) > clock_now())
		snprintf(out, CERT_NOTE_SIZE, "not valid before %.10s",
			clock_format(cert_not_before(cert), day));
	else if (cert_check_use(cert, CERT_ENCRYPT, &err) != RC_OK)
		snprintf(out, CERT_NOTE_SIZE, "%.200s", err.detail);
	else
		return NULL;
	return out;
}

const char *
cert_user(void)
{
	static char number[24];
	const struct passwd *pw = getpwuid(getuid());

	if (pw)
		return pw->pw_name;
	snprintf(number, sizeof(number), "%u", (unsigned)getuid());
	return number;
}

int
cert_no_such(const char *fingerprint)
{
	fprintf(stderr, "sealgate: no certificate in the store begins with %s\n", fingerprint);
	return EX_DATAERR;
}

bool
cert_address(const struct command *command, const char *text, char *out, int *status)
{
	if (addr_canonical(text, strlen(text), out, NULL) == RC_OK && addr_domain(out))
		return true;
	*status = cmd_usage(command, "%s is no mail address", text);
	return false;
}

enum rc
cert_drain(struct buf *buf, bool force, struct err *err)
{
	if (buf->len == 0 || (!force && buf->len < DRAIN_BYTES))
		return RC_OK;
	if (fwrite(buf->data, 1, buf->len, stdout) != buf->len || fflush(stdout) != 0)
		return err_set(err, ERR_FILE, "standard output could not be written");
	buf_clear(buf);
	return RC_OK;
}

/* A store that root made has to be the milter's, which reads and writes it as well. */
static enum rc
give_away(const struct conf *conf, const char *path, struct err *err)
{
	const char *user = conf_str(conf_section(conf, "milter"), "user");
	const struct passwd *pw = geteuid() == 0 ? getpwnam(user) : NULL;

	if (pw && chown(path, pw->pw_uid, pw->pw_gid) != 0)
		return err_set(err, ERR_STORE, "%s cannot be given to %s", path, user);
	return RC_OK;
}

bool
cert_open_store(const struct command *command, struct cli *cli, bool create,
	struct certstore **store, int *status)
{
	struct err err = ERR_INIT;
	const char *path;
	bool there;

	*store = NULL;
	if (!cmd_conf(command, cli, status))
		return false;
	path = conf_str(conf_section(cli->conf, "certstore"), "path");
	there = access(path, F_OK) == 0;
	if (!create && !there) {
		fprintf(stderr, "sealgate: the store %s is not there yet\n", path);
		*status = EX_DATAERR;
		return false;
	}
	if (certstore_open(path, create, store, &err) == RC_OK &&
		(there || give_away(cli->conf, path, &err) == RC_OK))
		return true;
	certstore_close(store);
	*status = cmd_fail(&err);
	return false;
}

void
cert_json(const struct cert *cert, struct json *json)
{
	const char *const *addrs;
	size_t n = cert_addrs(cert, true, &addrs), i;

	json_array(json, "addresses");
	for (i = 0; i < n; i++)
		json_str(json, NULL, addrs[i]);
	json_array_end(json);
	json_str(json, "subject", cert_subject(cert));
	json_str(json, "issuer", cert_issuer(cert));
	json_str(json, "serial", cert_serial(cert));
	json_str(json, "sha256", cert_fingerprint(cert));
	json_time(json, "not_before", cert_not_before(cert));
	json_time(json, "not_after", cert_not_after(cert));
	json_str(json, "key", key_type_name(cert_key_type(cert)));
	json_int(json, "bits", cert_key_bits(cert));
	json_str(json, "use", cert_use_name(cert));
}

static const char *
unless_empty(const char *text)
{
	return text && *text ? text : NULL;
}

void
cert_row_json(const struct certrow *row, struct json *json)
{
	json_object(json, NULL);
	json_int(json, "v", 1);
	if (row->anchor)
		json_str(json, "domains", unless_empty(row->domains));
	else
		json_str(json, "address", row->addr);
	json_str(json, "source", row->source);
	json_str(json, "vouched", unless_empty(row->vouched));
	json_str(json, "reason", unless_empty(row->why));
	json_time(json, "since", row->word_at);
	json_bool(json, "anchor", row->anchor);
	json_bool(json, "pinned", row->pinned);
	if (!row->anchor) {
		json_str(json, "tier", cert_tier_name(row->tier));
		json_bool(json, "proven", row->proven);
	}
	json_time(json, "first_seen", row->first_seen);
	json_time(json, "last_seen", row->last_seen);
	if (row->signed_at)
		json_time(json, "signed_at", row->signed_at);
	cert_json(row->cert, json);
	json_object_end(json);
}

/* One of the commands that change the rows of one certificate. */
struct change {
	const struct command *command;
	const char *done; /* what was done to it */
	const char *fingerprint, *address, *why;
	bool erase, force;
	enum rc (*act)(struct certstore *, const struct change *, struct err *);
};

static enum rc
pin(struct certstore *store, const struct change *change, struct err *err)
{
	const struct certword word = {.who = cert_user(), .why = change->why};

	return certstore_pin(store, change->fingerprint, change->address,
		change->command == &cert_pin, &word, err);
}

static enum rc
forget(struct certstore *store, const struct change *change, struct err *err)
{
	const struct certword word = {.who = cert_user(), .why = change->why};

	if (change->erase)
		return certstore_erase(store, change->fingerprint, err);
	return certstore_forget(store, change->fingerprint, change->address, &word, err);
}

/* Says which filings were changed, as they stood before. */
static int
report(const struct cli *cli, const struct change *change, const struct certrow *rows, size_t n)
{
	struct buf text = BUF_INIT(0);
	struct json json;
	int status = EX_OK;
	size_t i;

	cmd_json_begin(&json, &text);
	json_str(&json, "done", change->done);
	if (n)
		json_str(&json, "sha256", cert_fingerprint(rows[0].cert));
	json_array(&json, "addresses");
	for (i = 0; i < n; i++) {
		const char *name = rows[i].anchor ? cert_subject(rows[i].cert) : rows[i].addr;

		if (change->address && !addr_equal(rows[i].addr, change->address))
			continue;
		if (!rows[i].anchor)
			json_str(&json, NULL, rows[i].addr);
		if (!cli->json)
			printf("%s: %.16s  %s\n", change->done, cert_fingerprint(rows[i].cert),
				name);
	}
	json_array_end(&json);
	json_object_end(&json);
	if (cli->json)
		status = cmd_print_json(&json, EX_OK);
	buf_fini(&text);
	return status;
}

/* Would a pin on it make mail wait? It was said then. */
static bool
is_useless(const struct change *change, const struct certrow *row)
{
	char note[CERT_NOTE_SIZE];

	if (change->command != &cert_pin || change->force || row->anchor ||
		!cert_note(row->cert, note))
		return false;
	fprintf(stderr,
		"sealgate: %.16s: %s; mail would wait for as long as it is pinned "
		"(--force pins it)\n",
		cert_fingerprint(row->cert), note);
	return true;
}

static int
apply(const struct cli *cli, struct certstore *store, const struct change *change)
{
	struct certrow *rows = NULL;
	struct err err = ERR_INIT;
	size_t n = 0;
	int status;
	enum rc rc = certstore_by_fingerprint(store, change->fingerprint, &rows, &n, &err);

	if (rc == RC_OK && is_useless(change, &rows[0])) {
		certrows_free(&rows, n);
		return EX_DATAERR;
	}
	if (rc == RC_OK || (rc == RC_NONE && change->erase))
		rc = change->act(store, change, &err);
	if (rc == RC_OK)
		status = report(cli, change, rows, n);
	else if (rc == RC_NONE && n && change->address) {
		fprintf(stderr, "sealgate: %.16s is not filed under %s\n",
			cert_fingerprint(rows[0].cert), change->address);
		status = EX_DATAERR;
	} else if (rc == RC_NONE && n) {
		fprintf(stderr, "sealgate: %.16s is an anchor, which has no pin\n",
			cert_fingerprint(rows[0].cert));
		status = EX_DATAERR;
	} else
		status = rc == RC_NONE ? cert_no_such(change->fingerprint) : cmd_fail(&err);
	certrows_free(&rows, n);
	return status;
}

static int
run_change(struct change *change, struct cli *cli, int argc, char **argv)
{
	const struct cmd_opt opts[] = {{"address", OPT_VALUE, &change->address},
		{"why", OPT_VALUE, &change->why},
		change->command == &cert_pin ? (struct cmd_opt){"force", OPT_FLAG, &change->force}
					     : (struct cmd_opt){"erase", OPT_FLAG, &change->erase}};
	size_t n = change->command == &cert_unpin ? 2 : 3;
	char addr[ADDR_MAX + 1];
	struct certstore *store;
	int status;

	if (!cmd_parse(change->command, cli, opts, n, &argc, argv, &status))
		return status;
	if (argc != 2)
		return cmd_usage(change->command, "one fingerprint");
	if (change->erase && change->address)
		return cmd_usage(change->command, "--erase is for the whole certificate");
	if (change->address && !cert_address(change->command, change->address, addr, &status))
		return status;
	change->address = change->address ? addr : NULL;
	change->fingerprint = argv[1];
	if (!cert_open_store(change->command, cli, false, &store, &status))
		return status;
	status = apply(cli, store, change);
	certstore_close(&store);
	return status;
}

static int
run_pin(struct cli *cli, int argc, char **argv)
{
	struct change change = {.command = &cert_pin, .done = "pinned", .act = pin};

	return run_change(&change, cli, argc, argv);
}

static int
run_unpin(struct cli *cli, int argc, char **argv)
{
	struct change change = {.command = &cert_unpin, .done = "unpinned", .act = pin};

	return run_change(&change, cli, argc, argv);
}

static int
run_forget(struct cli *cli, int argc, char **argv)
{
	struct change change = {.command = &cert_forget, .done = "forgotten", .act = forget};

	return run_change(&change, cli, argc, argv);
}
