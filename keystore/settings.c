/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/settings.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"

#define INTERMEDIATES_MAX 1000 /* files */

/* NAME or a number. */
static bool
find_uid(const char *name, uid_t *uid)
{
	struct passwd pw, *found = NULL;
	char space[4096], *end;
	unsigned long n;

	if (getpwnam_r(name, &pw, space, sizeof(space), &found) == 0 && found) {
		*uid = found->pw_uid;
		return true;
	}
	n = strtoul(name, &end, 10);
	*uid = (uid_t)n;
	return *name >= '0' && *name <= '9' && *end == 0 && n < (uid_t)-1;
}

static unsigned
role_bits(const char *role)
{
	if (strcmp(role, "all") == 0)
		return ROLE_SIGN | ROLE_OPEN;
	if (strcmp(role, "open") == 0)
		return ROLE_OPEN;
	return strcmp(role, "seal") == 0 ? ROLE_SIGN : ROLE_NONE;
}

static enum rc
read_services(struct settings *s, struct err *err)
{
	const char *milter_user = conf_str(conf_section(s->conf, "milter"), "user");

	s->n_services = conf_count(s->conf, "services");
	s->services = calloc(s->n_services + 1, sizeof(*s->services));
	if (!s->services)
		return err_set(err, ERR_MEMORY, "services");
	for (size_t i = 0; i < s->n_services; i++) {
		const struct conf_group *group = conf_item(s->conf, "services", i);
		struct service *service = &s->services[i];
		const char *user = conf_str(group, "user");

		service->name = conf_str(group, "name");
		service->role_name = conf_str(group, "role");
		service->role = role_bits(service->role_name);
		service->has_uid = find_uid(user ? user : milter_user, &service->uid);
		for (size_t k = 0; k < i; k++)
			if (strcmp(s->services[k].name, service->name) == 0)
				return conf_err(err, s->conf, group, "name",
					"service \"%s\" is there twice", service->name);
		if (strcmp(service->name, "admin") == 0)
			return conf_err(
				err, s->conf, group, "name", "\"admin\" is no name for a service");
	}
	return RC_OK;
}

static enum rc
read_operators(struct settings *s, struct err *err)
{
	s->operators = calloc(conf_count(s->conf, "operators") + 1, sizeof(*s->operators));
	if (!s->operators)
		return err_set(err, ERR_MEMORY, "operators");
	for (size_t i = 0; i < conf_count(s->conf, "operators"); i++) {
		const struct conf_group *group = conf_item(s->conf, "operators", i);
		struct operator* operator= & s->operators[s->n_operators++];
		const char *const *rights;
		size_t n = conf_strings(group, "rights", &rights);

		if (!find_uid(conf_str(group, "user"), &operator->uid))
			return conf_err(err, s->conf, group, "user",
				"no user \"%s\" on this system", conf_str(group, "user"));
		for (size_t k = 0; k < n; k++)
			if (strcmp(rights[k], "process") == 0)
				operator->rights |= RIGHT_PROCESS;
			else if (strcmp(rights[k], "keys") == 0)
				operator->rights |= RIGHT_KEYS;
			else if (strcmp(rights[k], "hold") == 0)
				operator->rights |= RIGHT_HOLD;
			else if (strcmp(rights[k], "pin") == 0)
				operator->rights |= RIGHT_PIN;
			else if (strcmp(rights[k], "officer") == 0)
				operator->rights |= RIGHT_OFFICER;
			else /* the table has no other word */
				operator->rights |= RIGHT_AUDIT;
	}
	return RC_OK;
}

static enum rc
read_budgets(struct settings *s, struct err *err)
{
	s->n_budgets = conf_count(s->conf, "budgets");
	s->reopen_memory = conf_int(conf_section(s->conf, "vault"), "reopen_memory");
	s->budget_alarm = conf_int(conf_section(s->conf, "vault"), "budget_alarm");
	s->budgets = calloc(s->n_budgets + 1, sizeof(*s->budgets));
	if (!s->budgets)
		return err_set(err, ERR_MEMORY, "budgets");
	for (size_t i = 0; i < s->n_budgets; i++) {
		const struct conf_group *group = conf_item(s->conf, "budgets", i);
		struct budget_rule *rule = &s->budgets[i];
		const char *use = conf_str(group, "use");

		rule->service = conf_str(group, "service");
		rule->use = strcmp(use, "sign") == 0   ? ROLE_SIGN
			    : strcmp(use, "open") == 0 ? ROLE_OPEN
						       : ROLE_SIGN | ROLE_OPEN;
		rule->hour = conf_int(group, "hour");
		rule->day = conf_int(group, "day");
		if (rule->service && !settings_service(s, rule->service))
			return conf_err(
				err, s->conf, group, "service", "no service \"%s\"", rule->service);
	}
	return RC_OK;
}

static enum rc
read_addresses(struct settings *s, struct err *err)
{
	const struct conf_group *group = conf_section(s->conf, "organisation");
	const char *delimiter = conf_str(group, "recipient_delimiter");

	s->delimiter = delimiter ? delimiter[0] : 0;
	s->n_domains = conf_strings(group, "domains", &s->domains);
	return alias_map_load(conf_str(group, "alias_map"), &s->aliases, err);
}

/* The certificates of one file; one that has none is named in the log and left out. */
static enum rc
read_intermediate(struct settings *s, const char *path, struct err *err)
{
	struct buf file = BUF_INIT(0);
	enum rc rc = file_read(path, &file, err);

	if (!rc)
		rc = certset_parse(buf_text(&file), file.len, &s->intermediates, err);
	if (rc == RC_PERM) {
		err_prefix(err, "%s", path);
		log_error(LOGL_WARN, NULL, "intermediate-unusable", err, NULL);
		err_clear(err);
		rc = RC_OK;
	}
	buf_fini(&file);
	return rc == RC_NONE ? RC_OK : rc;
}

static enum rc
read_intermediates(struct settings *s, struct err *err)
{
	const char *dir = conf_str(conf_section(s->conf, "vault"), "intermediates");
	char **names = NULL;
	size_t n = 0;
	enum rc rc = dir ? file_list(dir, INTERMEDIATES_MAX, &names, &n, err) : RC_OK;

	for (size_t i = 0; !rc && i < n; i++) {
		char *path = file_join(dir, names[i]);

		rc = path ? read_intermediate(s, path, err) : err_set(err, ERR_MEMORY, "settings");
		free(path);
	}
	file_list_free(&names, n);
	return rc == RC_NONE
		       ? err_set(err, ERR_CONFIG, "vault.intermediates: %s: no such folder", dir)
		       : rc;
}

enum rc
settings_new(struct conf *conf, struct settings **out, struct err *err)
{
	struct settings *s = calloc(1, sizeof(*s));
	enum rc rc;

	*out = NULL;
	if (!s)
		return err_set(err, ERR_MEMORY, "settings");
	s->refs = 1;
	s->conf = conf_ref(conf);
	rc = read_services(s, err);
	if (!rc)
		rc = read_operators(s, err);
	if (!rc)
		rc = read_budgets(s, err);
	if (!rc)
		rc = read_addresses(s, err);
	if (!rc)
		rc = read_intermediates(s, err);
	if (!rc)
		rc = profiles_compile(conf, &s->profiles, err);
	if (rc)
		settings_unref(&s);
	*out = s;
	return rc;
}

struct settings *
settings_ref(struct settings *settings)
{
	__atomic_add_fetch(&settings->refs, 1, __ATOMIC_RELAXED);
	return settings;
}

void
settings_unref(struct settings **settings)
{
	struct settings *s = *settings;

	*settings = NULL;
	if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	profiles_fini(&s->profiles);
	alias_map_free(&s->aliases);
	certset_fini(&s->intermediates);
	free(s->services);
	free(s->operators);
	free(s->budgets);
	conf_unref(&s->conf);
	free(s);
}

const struct service *
settings_service(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->n_services; i++)
		if (strcmp(settings->services[i].name, name) == 0)
			return &settings->services[i];
	return NULL;
}

unsigned
settings_rights(const struct settings *settings, uid_t uid, uid_t own)
{
	unsigned rights = uid == 0 || uid == own ? RIGHT_KEYS | RIGHT_AUDIT : 0;

	for (size_t i = 0; i < settings->n_operators; i++)
		if (settings->operators[i].uid == uid)
			rights |= settings->operators[i].rights;
	return rights;
}

size_t
settings_warn(const struct settings *settings, uid_t own)
{
	size_t n = 0;

	for (size_t i = 0; i < settings->n_services; i++) {
		const struct service *a = &settings->services[i];

		if (a->has_uid && (settings_rights(settings, a->uid, own) & RIGHT_KEYS)) {
			log_event(LOGL_WARN, NULL, "service-has-keys", "service", a->name, "uid",
				LOG_NUM(a->uid), "reason",
				"what reads mail can reach the keys: give it a user of its own",
				NULL);
			n++;
		}
		for (size_t k = 0; k < i; k++) {
			const struct service *b = &settings->services[k];

			if (!a->has_uid || !b->has_uid || a->uid != b->uid || a->role == b->role)
				continue;
			log_event(LOGL_WARN, NULL, "services-share-user", "service", a->name,
				"other", b->name, "uid", LOG_NUM(a->uid), "reason",
				"either can say that it is the other one", NULL);
			n++;
		}
	}
	return n;
}

enum rc
settings_resolve(
	const struct settings *settings, const char *addr, char out[ADDR_MAX + 1], struct err *err)
{
	char canonical[ADDR_MAX + 1];
	const char *domain;
	bool ours;
	enum rc rc = addr_canonical(addr, strlen(addr), canonical, err);

	out[0] = 0;
	if (rc)
		return rc;
	domain = addr_domain(canonical);
	ours = domain && addr_domain_in(domain, settings->domains, settings->n_domains);
	alias_map_person(settings->aliases, canonical, ours ? settings->delimiter : 0, out);
	return RC_OK;
}
