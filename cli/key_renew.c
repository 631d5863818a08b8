/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key_renew.c - sealgate key renew: successors, one by one or all that are due
 *
 * A pass over what is due asks the vault for one successor at a time, so that its work for mail
 * goes on in between. It keeps nothing of its own: what was renewed is not due any more, so it may
 * be stopped and run again at any time.
 */
#include "cli/key.h"

#include "base/clock.h"
#include "keystore/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY       (int64_t)86400
#define DUE_MAX   (3650 * DAY)
#define LIMIT_MAX 1000000

static int run(struct cli *cli, int argc, char **argv);

const struct command key_renew = {
	.name = "key renew",
	.usage =
		"[--type TYPE] [--days N] [--profile NAME] [--same-key] [--lead N | --use-from TIME] "
		"ADDR|KEY\n"
		"       sealgate -c CONF key renew --due AGE [--stagger AGE] [--limit N] [--dry-run] …",
	.help = "make a successor; the old key goes on opening old mail",
	.details =
		"  --type TYPE        rsa2048, rsa3072, rsa4096, p256, p384, p521\n"
		"  --days N           how long the certificate is valid\n"
		"  --profile NAME     of the configuration; default: that of the kind of person\n"
		"  --same-key         a new certificate for the same key\n"
		"  --lead N           the new key signs N days from now; until then the old one does.\n"
		"                     Default: publish.days_before when certificates are published,\n"
		"                     otherwise at once\n"
		"  --use-from TIME    the same as a time\n"
		"  --due AGE          every key whose certificate ends within 30d, 12h, …\n"
		"  --stagger AGE      spreads a pass: each key waits a part of AGE, always the same\n"
		"  --limit N          at most N of them in this run\n"
		"  --dry-run          only say which\n",
	.run = run,
};

struct renewal {
	struct cli *cli;
	struct admin_session *session;
	const char *type, *profile, *use_from, *days, *lead_text;
	bool same_key, dry_run;
	int64_t lead; /* days */
	int64_t due, stagger;
	size_t limit;
	size_t renewed, later, outside, failed, retired;
	bool limited; /* the CA ends before the wanted validity */
	bool stop;    /* for the limit, or because no key can be renewed now */
	int status;
	struct buf text;
	struct json json;
};

bool
cmd_age(const char *text, int64_t *seconds)
{
	static const char units[] = "smhdw";
	static const int64_t factors[] = {1, 60, 3600, DAY, 7 * DAY};
	const char *unit;
	char *end;
	long long n = strtoll(text, &end, 10);

	if (end == text || n < 0 || n > DUE_MAX)
		return false;
	unit = *end ? strchr(units, *end) : NULL;
	if (!unit || end[1] || n > DUE_MAX / factors[unit - units])
		return false;
	*seconds = n * factors[unit - units];
	return true;
}

/* What stands beside the key in every request. */
static void
put_options(const struct renewal *r, struct asking *asking)
{
	json_str(&asking->json, "type", r->type);
	json_str(&asking->json, "profile", r->profile);
	if (r->days)
		json_int(&asking->json, "days", strtol(r->days, NULL, 10));
	if (r->same_key)
		json_bool(&asking->json, "same_key", true);
	if (r->use_from)
		json_str(&asking->json, "use_from", r->use_from);
	else if (r->lead)
		json_int(&asking->json, "lead_days", r->lead);
}

static enum rc
renew_one(const struct renewal *r, const char *key, struct json_value **answer, struct err *err)
{
	struct asking asking;

	asking_begin(&asking, "key.renew");
	json_str(&asking.json, "key", key);
	put_options(r, &asking);
	return asking_send_in(&asking, r->session, answer, err);
}

/* --- all that is due --- */

/* Which part of the time that a pass is spread over this key waits: by a hash of its id. */
static int64_t
share_of(const char *key, int64_t stagger)
{
	uint64_t hash = 14695981039346656037u;

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 1099511628211u;
	return stagger ? (int64_t)((hash ^ hash >> 32) % (uint64_t)stagger) : 0;
}

/* Only things about this one key: the others may be fine. */
static bool
is_of_one_key(enum errcode code)
{
	return code == ERR_USAGE || code == ERR_KEY_EXISTS || code == ERR_CERT_UNSUPPORTED;
}

static void
say(struct renewal *r, const struct json_value *due, const char *result,
	const struct json_value *new, const char *reason)
{
	const char *key = json_get_text(due, "key"), *ends = json_get_text(due, "not_after");
	const char *addr = json_text(json_at(json_find(due, "addresses"), 0));
	const char *use = json_get_text(new, "use_from");

	if (r->cli->json) {
		json_object(&r->json, NULL);
		json_str(&r->json, "key", key);
		json_str(&r->json, "address", addr);
		json_str(&r->json, "ends", ends);
		json_str(&r->json, "result", result);
		json_str(&r->json, "new", json_get_text(new, "key"));
		json_str(&r->json, "not_after", json_get_text(new, "not_after"));
		json_str(&r->json, "use_from", use);
		json_str(&r->json, "reason", reason);
		json_object_end(&r->json);
	} else if (reason) {
		fprintf(stderr, "sealgate: %s %s: %s\n", key, addr ? addr : "", reason);
	} else {
		printf("%s  %-8s  ends %.10s  %s  %s%s%.10s  %s\n", key, result, ends ? ends : "?",
			new ? json_get_text(new, "key") : "", new ? "until " : "",
			new &&json_get_text(new, "not_after") ? json_get_text(new, "not_after")
							      : "",
			"", addr ? addr : "");
	}
}

static void
renew_due(struct renewal *r, const struct json_value *due)
{
	const char *key = json_get_text(due, "key"), *ends = json_get_text(due, "not_after");
	struct json_value *answer = NULL;
	struct err err = ERR_INIT;
	int64_t until = 0;

	if (!key || !ends || clock_parse(ends, &until, &err) != RC_OK)
		return;
	if (!json_get_text(due, "ca")) {
		r->outside++; /* another CA has to renew it */
		return;
	}
	if (until - r->due + share_of(key, r->stagger) > clock_now()) {
		r->later++;
		return;
	}
	if (r->limit && r->renewed == r->limit) {
		r->stop = true;
		return;
	}
	if (r->dry_run) {
		r->renewed++;
		say(r, due, "due", NULL, NULL);
	} else if (renew_one(r, key, &answer, &err) == RC_OK) {
		r->renewed++;
		r->limited |= json_find(answer, "limited") != NULL;
		say(r, due, "renewed", json_at(json_find(answer, "keys"), 0), NULL);
	} else {
		r->failed++;
		say(r, due, "failed", NULL, err.detail);
		r->stop = !is_of_one_key(err.code);
		if (r->status == EX_OK)
			r->status = r->stop ? cmd_fail(&err) : EX_DATAERR;
	}
	json_free(&answer);
}

/* The keys that successors replace, whose time has come, retire. */
static enum rc
settle(struct renewal *r, struct err *err)
{
	struct json_value *answer;
	struct asking asking;
	enum rc rc;

	asking_begin(&asking, "key.settle");
	rc = asking_send_in(&asking, r->session, &answer, err);
	if (rc == RC_OK)
		r->retired = (size_t)json_get_int(answer, "retired", 0);
	json_free(&answer);
	return rc;
}

static int
report(struct renewal *r)
{
	if (r->limited)
		fprintf(stderr, "sealgate: certificates end earlier than wanted, with the "
				"organisation's CA: time for \"sealgate ca rollover\"\n");
	if (!r->cli->json) {
		printf("%zu %s, %zu later, %zu of other CAs, %zu failed, %zu retired\n", r->renewed,
			r->dry_run ? "due" : "renewed", r->later, r->outside, r->failed,
			r->retired);
		return r->status;
	}
	json_array_end(&r->json);
	json_int(&r->json, "renewed", (int64_t)r->renewed);
	json_int(&r->json, "later", (int64_t)r->later);
	json_int(&r->json, "outside", (int64_t)r->outside);
	json_int(&r->json, "failed", (int64_t)r->failed);
	json_int(&r->json, "retired", (int64_t)r->retired);
	json_bool(&r->json, "more", r->stop);
	json_object_end(&r->json);
	return cmd_print_json(&r->json, r->status);
}

int
key_each_due(struct admin_session *session, int64_t within,
	bool (*each)(void *ctx, const struct json_value *due), void *ctx)
{
	char until[CLOCK_TEXT_SIZE], after[128] = "";
	struct json_value *answer;
	struct err err = ERR_INIT;
	bool more = true;

	clock_format(clock_now() + within, until);
	while (more) {
		const struct json_value *keys;
		const char *next;
		struct asking asking;

		asking_begin(&asking, "key.due");
		json_str(&asking.json, "until", until);
		json_str(&asking.json, "after", *after ? after : NULL);
		if (asking_send_in(&asking, session, &answer, &err) != RC_OK)
			return cmd_fail(&err);
		keys = json_find(answer, "keys");
		for (size_t i = 0; more && keys && i < json_count(keys); i++)
			more = each(ctx, json_at(keys, i));
		next = json_get_text(answer, "next");
		snprintf(after, sizeof(after), "%s", next ? next : "");
		more &= *after != 0;
		json_free(&answer);
	}
	return EX_OK;
}

static bool
each_due(void *ctx, const struct json_value *due)
{
	struct renewal *r = ctx;

	renew_due(r, due);
	return !r->stop;
}

static int
run_pass(struct renewal *r)
{
	struct err err = ERR_INIT;
	int status;

	buf_init(&r->text, 64u << 20);
	json_init(&r->json, &r->text);
	json_object(&r->json, NULL);
	json_int(&r->json, "v", 1);
	json_array(&r->json, "keys");
	if (!r->dry_run && settle(r, &err) != RC_OK)
		status = cmd_fail(&err);
	else
		status = key_each_due(r->session, r->due, each_due, r);
	if (status == EX_OK)
		status = report(r);
	buf_fini(&r->text);
	return status;
}

/* --- one key --- */

static int
run_one(struct renewal *r, const char *key)
{
	struct json_value *answer;
	struct err err = ERR_INIT;
	const char *use;
	int status;

	if (renew_one(r, key, &answer, &err) != RC_OK)
		return cmd_fail(&err);
	status = key_print(r->cli, answer);
	key_note_limit(answer);
	use = json_get_text(json_at(json_find(answer, "keys"), 0), "use_from");
	if (use)
		fprintf(stderr, "sealgate: it signs from %s on; until then the old key does\n",
			use);
	json_free(&answer);
	return status;
}

static bool
is_number(const char *text, long max)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *text >= '0' && *text <= '9' && !*end && n <= max;
}

/* False: *status, and it was said. */
static bool
check(struct renewal *r, const char *due, const char *stagger, const char *limit, int argc,
	int *status)
{
	const char *wrong = NULL;

	if (due && (!cmd_age(due, &r->due) || r->due == 0))
		wrong = "--due is a time with a unit, such as 30d";
	else if (stagger && (!cmd_age(stagger, &r->stagger) || r->stagger >= r->due))
		wrong = "--stagger is a time with a unit, such as 14d, shorter than --due";
	else if (limit && (!is_number(limit, LIMIT_MAX) || strtol(limit, NULL, 10) < 1))
		wrong = "--limit is a number";
	else if (r->days && (!is_number(r->days, 100000) || strtol(r->days, NULL, 10) < 1))
		wrong = "--days is a number of days";
	else if (r->lead_text && !is_number(r->lead_text, 3650))
		wrong = "--lead is a number of days";
	else if (r->lead_text && r->use_from)
		wrong = "either --lead or --use-from";
	else if (due ? argc > 1 : argc != 2)
		wrong = due ? "--due takes no key" : "one key, or --due";
	else if (!due && (stagger || limit || r->dry_run))
		wrong = "--stagger, --limit and --dry-run go with --due";
	if (limit)
		r->limit = (size_t)strtol(limit, NULL, 10);
	if (wrong)
		*status = cmd_usage(&key_renew, "%s", wrong);
	return !wrong;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct renewal r = {.cli = cli};
	const char *due = NULL, *stagger = NULL, *limit = NULL;
	const struct cmd_opt opts[] = {{"type", OPT_VALUE, &r.type}, {"days", OPT_VALUE, &r.days},
		{"profile", OPT_VALUE, &r.profile}, {"same-key", OPT_FLAG, &r.same_key},
		{"lead", OPT_VALUE, &r.lead_text}, {"use-from", OPT_VALUE, &r.use_from},
		{"due", OPT_VALUE, &due}, {"stagger", OPT_VALUE, &stagger},
		{"limit", OPT_VALUE, &limit}, {"dry-run", OPT_FLAG, &r.dry_run}};
	const struct conf_group *publish;
	struct err err = ERR_INIT;
	const char *const *uris;
	int status;

	if (!cmd_parse(&key_renew, cli, opts, sizeof(opts) / sizeof(*opts), &argc, argv, &status) ||
		!check(&r, due, stagger, limit, argc, &status) ||
		!cmd_conf(&key_renew, cli, &status))
		return status;
	publish = conf_section(cli->conf, "publish");
	if (r.lead_text)
		r.lead = strtol(r.lead_text, NULL, 10);
	else if (conf_strings(publish, "uri", &uris))
		r.lead = conf_int(publish, "days_before");
	if (admin_open(cli->conf, &r.session, &err) != RC_OK)
		return cmd_fail(&err);
	status = due ? run_pass(&r) : run_one(&r, argv[1]);
	admin_close(&r.session);
	return status;
}
