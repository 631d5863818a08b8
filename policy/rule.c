/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/rule.h"

#include "policy/fold.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The index of WORD in WORDS; the option table has checked that it is one of them. */
static int
word_index(const char *word, const char *const *words)
{
	int i = 0;

	while (words[i] && strcmp(words[i], word) != 0)
		i++;
	return words[i] ? i : 0;
}

/* Or-s together the bits of the words of option NAME. */
static enum rc
compile_words(struct conf *conf, const struct conf_group *group, const char *name,
	const char *const *words, unsigned *bits, struct err *err)
{
	const char *const *values;
	size_t n = conf_strings(group, name, &values);

	for (size_t i = 0; i < n; i++) {
		int k = 0;

		while (words[k] && strcmp(words[k], values[i]) != 0)
			k++;
		if (!words[k])
			return conf_err(
				err, conf, group, name, "unknown word \"%.60s\"", values[i]);
		*bits |= 1u << k;
	}
	return RC_OK;
}

static enum rc
compile_classes(
	struct rule *rule, struct conf *conf, const struct conf_group *group, struct err *err)
{
	const char *const *values;
	size_t n = conf_strings(group, "class", &values);

	for (size_t i = 0; i < n; i++) {
		unsigned bit = class_from_name(values[i]);

		if (bit == 0)
			return conf_err(
				err, conf, group, "class", "unknown word \"%.60s\"", values[i]);
		rule->classes |= bit;
	}
	return RC_OK;
}

static enum rc
compile_addresses(struct conf *conf, const struct conf_group *group, const char *name,
	struct addrmap **out, struct err *err)
{
	const char *const *values;
	size_t n = conf_strings(group, name, &values);
	struct err why = ERR_INIT;
	enum rc rc = RC_OK;

	if (n == 0)
		return RC_OK;
	rc = addrmap_new(out, err);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		rc = addrmap_put(*out, values[i], 0, &why);
		if (rc == RC_PERM)
			rc = conf_err(err, conf, group, name, "%s", why.detail);
		else if (rc != RC_OK)
			*err = why;
	}
	return rc;
}

static enum rc
compile_services(
	struct rule *rule, struct conf *conf, const struct conf_group *group, struct err *err)
{
	rule->n_services = conf_strings(group, "services", &rule->services);
	for (size_t i = 0; i < rule->n_services; i++) {
		size_t k = 0, n = conf_count(conf, "services");

		while (k < n && strcmp(conf_str(conf_item(conf, "services", k), "name"),
					rule->services[i]) != 0)
			k++;
		if (k == n)
			return conf_err(err, conf, group, "services",
				"there is no service \"%.60s\"", rule->services[i]);
	}
	return RC_OK;
}

/* "Name: pattern" */
static enum rc
compile_header(struct header_match *match, const char *text, struct conf *conf,
	const struct conf_group *group, struct err *err)
{
	size_t len = strcspn(text, ": \t");
	const char *pattern = text + len;
	char why[200];
	int bad;

	if (len == 0 || *pattern != ':')
		return conf_err(
			err, conf, group, "header", "\"%.60s\" is not \"Name: pattern\"", text);
	pattern++;
	pattern += strspn(pattern, " \t");
	bad = regcomp(&match->pattern, pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB);
	if (bad) {
		regerror(bad, NULL, why, sizeof(why));
		return conf_err(err, conf, group, "header", "pattern \"%.100s\": %s", pattern, why);
	}
	match->name = strndup(text, len);
	if (!match->name) {
		regfree(&match->pattern);
		return err_set(err, ERR_MEMORY, "rules");
	}
	return RC_OK;
}

static enum rc
compile_headers(
	struct rule *rule, struct conf *conf, const struct conf_group *group, struct err *err)
{
	const char *const *values;
	size_t n = conf_strings(group, "header", &values);
	enum rc rc = RC_OK;

	if (n == 0)
		return RC_OK;
	rule->headers = calloc(n, sizeof(*rule->headers));
	if (!rule->headers)
		return err_set(err, ERR_MEMORY, "rules");
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		rc = compile_header(&rule->headers[i], values[i], conf, group, err);
		if (rc == RC_OK)
			rule->n_headers++;
	}
	return rc;
}

static enum rc
compile_marks(struct rule *rule, struct conf *conf, const struct conf_group *group, struct err *err)
{
	const char *const *values;
	size_t n = conf_strings(group, "subject_mark", &values);
	struct buf folded = BUF_INIT(HEADER_TEXT_MAX * 4);
	enum rc rc = RC_OK;

	if (n == 0)
		return RC_OK;
	rule->marks = calloc(n, sizeof(*rule->marks));
	if (!rule->marks)
		return err_set(err, ERR_MEMORY, "rules");
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		buf_clear(&folded);
		rc = fold_text(values[i], strlen(values[i]), &folded, err);
		if (rc == RC_OK && folded.len == 0)
			rc = conf_err(err, conf, group, "subject_mark", "a mark is empty");
		if (rc == RC_OK && !(rule->marks[i] = strdup(buf_text(&folded))))
			rc = err_set(err, ERR_MEMORY, "rules");
		if (rc == RC_OK)
			rule->n_marks++;
	}
	buf_fini(&folded);
	return rc;
}

static void
compile_verdicts(struct verdicts *v, const struct conf_group *group)
{
	static const char *const sign[] = {"never", "if-possible", "required", NULL};
	static const char *const encoding[] = {"auto", "base64", NULL};
	static const char *const form[] = {"clear", "opaque", NULL};
	static const char *const unsafe[] = {"opaque", "skip", "refuse", NULL};
	static const char *const encrypt[] = {"never", "if-proven", "if-known", "required", NULL};
	static const char *const missing[] = {"refuse-all", "clear", "refuse-recipient", NULL};
	static const char *const preset[] = {"classic", "modern", "jp-classic", "auto", NULL};
	static const char *const opened[] = {"re-encrypt", "original", "refuse", "clear", NULL};
	static const char *const trouble[] = {"deliver", "mark", NULL};
	static const char *const stale[] = {"use", "defer", NULL};
	static const char *const unknown[] = {"default", "if-known", "required", "grace", NULL};

	v->sign = (enum verdict_sign)word_index(conf_str(group, "sign"), sign);
	v->sign_keys.n = conf_strings(group, "sign_key", &v->sign_keys.v);
	v->encoding = (enum encoding)word_index(conf_str(group, "encoding"), encoding);
	v->escrow.n = conf_strings(group, "escrow", &v->escrow.v);
	v->copy_sender = conf_bool(group, "copy_sender");
	v->invite = conf_bool(group, "invite");
	v->invite_language = conf_str(group, "invite_language");
	v->form = (enum sign_form)word_index(conf_str(group, "form"), form);
	v->unsafe = (enum unsafe)word_index(conf_str(group, "unsafe"), unsafe);
	v->encrypt = (enum verdict_encrypt)word_index(conf_str(group, "encrypt"), encrypt);
	v->if_missing = (enum if_missing)word_index(conf_str(group, "if_missing"), missing);
	v->preset = (enum preset)word_index(conf_str(group, "preset"), preset);
	v->open = strcmp(conf_str(group, "open"), "never") != 0;
	v->verify = strcmp(conf_str(group, "verify"), "never") != 0;
	v->revocation = (enum on_unknown)word_index(conf_str(group, "revocation"), unknown);
	v->stale = (enum on_stale)word_index(conf_str(group, "stale"), stale);
	v->opened = (enum opened)word_index(conf_str(group, "opened"), opened);
	v->on_no_key = (enum on_trouble)word_index(conf_str(group, "on_no_key"), trouble);
	v->on_bad_signature =
		(enum on_trouble)word_index(conf_str(group, "on_bad_signature"), trouble);
	v->on_unauthenticated =
		(enum on_trouble)word_index(conf_str(group, "on_unauthenticated"), trouble);
	v->message = conf_str(group, "message");
}

/* Is there a mark that can be taken away? */
static bool
has_mark(const struct rule *rule)
{
	for (size_t i = 0; i < rule->n_headers; i++)
		if (strncasecmp(rule->headers[i].name, "X-", 2) == 0)
			return true;
	return rule->n_marks > 0;
}

static bool
is_plain_text(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~' || *text == '"')
			return false;
	return true;
}

bool
sign_key_expand(const char *key, const char *domain, char *out)
{
	char text[ADDR_MAX + 1];
	size_t n = 0, len = strlen(domain);

	for (; *key; key++) {
		bool mark = key[0] == '%' && key[1] == 'd';

		if (n + (mark ? len : 1) > ADDR_MAX)
			return false;
		memcpy(text + n, mark ? domain : key, mark ? len : 1);
		n += mark ? len : 1;
		key += mark;
	}
	return addr_canonical(text, n, out, NULL) == RC_OK && addr_domain(out);
}

/* Addresses that stand in verdicts. */
static enum rc
check_addresses(const struct verdicts *v, struct conf *conf, const struct conf_group *group,
	struct err *err)
{
	char addr[ADDR_MAX + 1];

	for (size_t i = 0; i < v->sign_keys.n; i++)
		if (strcmp(v->sign_keys.v[i], "own") != 0 &&
			!sign_key_expand(v->sign_keys.v[i], "example.org", addr))
			return conf_err(err, conf, group, "sign_key",
				"\"%.60s\" is neither \"own\" nor an address", v->sign_keys.v[i]);
	for (size_t i = 0; i < v->escrow.n; i++)
		if (addr_canonical(v->escrow.v[i], strlen(v->escrow.v[i]), addr, NULL) != RC_OK ||
			!addr_domain(addr))
			return conf_err(err, conf, group, "escrow", "\"%.60s\" is no address",
				v->escrow.v[i]);
	if (v->encrypt == ENCRYPT_NEVER && (v->escrow.n || v->copy_sender))
		return conf_err(err, conf, group, v->escrow.n ? "escrow" : "copy_sender",
			"only with encryption");
	if (v->encrypt == ENCRYPT_NEVER && v->invite)
		return conf_err(err, conf, group, "invite", "only with encryption");
	return RC_OK;
}

/* Criteria that can be told when a recipient is named, before there is a message. */
static bool
is_of_envelope(const char *name)
{
	static const char *const words[] = {"name", "mode", "services", "direction", "senders",
		"recipients", "identity", "certificate", "sender_group", "recipient_group", NULL};
	size_t i = 0;

	while (words[i] && strcmp(words[i], name) != 0)
		i++;
	return words[i];
}

static bool
is_verdict(const char *name)
{
	static const char *const words[] = {"sign", "sign_key", "encoding", "form", "unsafe",
		"encrypt", "if_missing", "escrow", "copy_sender", "invite", "invite_language",
		"preset", "open", "verify", "revocation", "stale", "on_no_key", "on_bad_signature",
		"on_unauthenticated", "message", NULL};
	size_t i = 0;

	while (words[i] && strcmp(words[i], name) != 0)
		i++;
	return words[i];
}

/* A criterion that is not known here is taken for one about the content: then nothing is decided
 * too early. */
static bool
looks_at_content(const struct conf_group *group)
{
	size_t n;
	const struct conf_option *options = conf_options(&n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(options[i].section, "rules") == 0 && !is_of_envelope(options[i].name) &&
			!is_verdict(options[i].name) && conf_is_set(group, options[i].name))
			return true;
	return false;
}

/* What single options can't say: verdicts and criteria that contradict each other. */
static enum rc
check_rule(
	const struct rule *rule, struct conf *conf, const struct conf_group *group, struct err *err)
{
	const struct verdicts *v = &rule->verdicts;

	if (!*rule->name || !is_plain_text(rule->name))
		return conf_err(err, conf, group, "name",
			"a name is printable ASCII without quotes: it stands in replies");
	if (v->message && !is_plain_text(v->message))
		return conf_err(err, conf, group, "message",
			"must be printable ASCII without quotes: it stands in an SMTP reply");
	if (rule->has_over && rule->has_under && rule->over >= rule->under)
		return conf_err(err, conf, group, "size_over",
			"no message is larger than size_over and smaller than size_under");
	if (v->encrypt != ENCRYPT_REQUIRED && conf_is_set(group, "if_missing"))
		return conf_err(err, conf, group, "if_missing", "only with encrypt = \"required\"");
	if (rule->directions && !(rule->directions & (DIR_OUTBOUND | DIR_INTERNAL)) &&
		(v->sign != SIGN_NEVER || v->encrypt != ENCRYPT_NEVER))
		return conf_err(err, conf, group, "direction",
			"inbound mail is neither signed nor encrypted");
	if (rule->directions == DIR_OUTBOUND && (v->open || v->verify))
		return conf_err(err, conf, group, "direction",
			"outbound mail is neither opened nor verified");
	if (conf_bool(group, "remove_mark") && !has_mark(rule))
		return conf_err(err, conf, group, "remove_mark",
			"there is no subject_mark, and no header whose name begins with X-");
	if ((rule->final_recipient || (v->open && v->opened == OPENED_ORIGINAL)) &&
		!conf_str(conf_section(conf, "forwarding"), "directory"))
		return conf_err(err, conf, group,
			rule->final_recipient ? "final_recipient" : "opened",
			"where mail ends needs forwarding.directory");
	if (v->preset == PRESET_JP_CLASSIC && v->form == FORM_OPAQUE)
		return conf_err(err, conf, group, "form", "jp-classic signs clear");
	return check_addresses(v, conf, group, err);
}

/* The criteria that choose among a few words. */
static enum rc
compile_choices(
	struct rule *rule, struct conf *conf, const struct conf_group *group, struct err *err)
{
	static const char *const directions[] = {"outbound", "inbound", "internal", NULL};
	static const char *const yes_no[] = {"yes", "no", NULL};
	static const char *const certificate[] = {"known", "proven", "none", NULL};
	static const char *const final[] = {"inside", "outside", NULL};
	enum rc rc = compile_words(conf, group, "direction", directions, &rule->directions, err);

	if (rc == RC_OK)
		rc = compile_words(conf, group, "authorised", yes_no, &rule->authorised, err);
	if (rc == RC_OK)
		rc = compile_words(conf, group, "sealed", yes_no, &rule->sealed, err);
	if (rc == RC_OK)
		rc = compile_words(
			conf, group, "final_recipient", final, &rule->final_recipient, err);
	if (rc == RC_OK)
		rc = compile_words(
			conf, group, "certificate", certificate, &rule->certificate, err);
	return rc;
}

/* Settings that the loader has checked. */
static void
copy_settings(struct rule *rule, const struct conf_group *group)
{
	rule->name = conf_str(group, "name");
	rule->line = conf_line(group);
	rule->observe = strcmp(conf_str(group, "mode"), "observe") == 0;
	rule->n_identities = conf_strings(group, "identity", &rule->identities);
	rule->has_over = conf_is_set(group, "size_over");
	rule->has_under = conf_is_set(group, "size_under");
	rule->over = (uint64_t)conf_int(group, "size_over");
	rule->under = (uint64_t)conf_int(group, "size_under");
	rule->content = looks_at_content(group);
	compile_verdicts(&rule->verdicts, group);
	rule->verdicts.unmark = conf_bool(group, "remove_mark") ? rule : NULL;
}

enum rc
rule_compile(struct rule *rule, struct conf *conf, const struct conf_group *group,
	struct group_names *names, struct err *err)
{
	enum rc rc;

	copy_settings(rule, group);
	rc = compile_services(rule, conf, group, err);
	if (rc == RC_OK)
		rc = compile_choices(rule, conf, group, err);
	if (rc == RC_OK)
		rc = compile_classes(rule, conf, group, err);
	if (rc == RC_OK)
		rc = compile_addresses(conf, group, "senders", &rule->senders, err);
	if (rc == RC_OK)
		rc = compile_addresses(conf, group, "recipients", &rule->recipients, err);
	if (rc == RC_OK)
		rc = compile_addresses(conf, group, "from", &rule->from, err);
	if (rc == RC_OK)
		rc = compile_headers(rule, conf, group, err);
	if (rc == RC_OK)
		rc = compile_marks(rule, conf, group, err);
	if (rc == RC_OK)
		rc = rule_groups_compile(
			&rule->sender_groups, conf, group, "sender_group", names, err);
	if (rc == RC_OK)
		rc = rule_groups_compile(
			&rule->recipient_groups, conf, group, "recipient_group", names, err);
	return rc == RC_OK ? check_rule(rule, conf, group, err) : rc;
}

void
rule_fini(struct rule *rule)
{
	addrmap_free(&rule->senders);
	addrmap_free(&rule->recipients);
	addrmap_free(&rule->from);
	rule_groups_fini(&rule->sender_groups);
	rule_groups_fini(&rule->recipient_groups);
	for (size_t i = 0; i < rule->n_headers; i++) {
		free(rule->headers[i].name);
		regfree(&rule->headers[i].pattern);
	}
	free(rule->headers);
	for (size_t i = 0; i < rule->n_marks; i++)
		free(rule->marks[i]);
	free(rule->marks);
	memset(rule, 0, sizeof(*rule));
}

const char *
rule_name(const struct rule *rule)
{
	return rule ? rule->name : ""; /* none: before anything was decided */
}

const struct verdicts *
rule_verdicts(const struct rule *rule)
{
	return &rule->verdicts;
}

bool
rule_is_observed(const struct rule *rule)
{
	return rule->observe;
}

int
rule_line(const struct rule *rule)
{
	return rule->line;
}
