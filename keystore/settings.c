/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/settings.h"

#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"

#define ALIAS_FILE_MAX (64u << 20)
#define ALIAS_DEPTH    8 /* aliases of aliases */

struct alias {
	char *name;
	char *target;
};

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
			else if (strcmp(rights[k], "audit") == 0)
				operator->rights |= RIGHT_AUDIT;
			else
				return conf_err(err, s->conf, group, "rights",
					"\"%s\" is none of process, keys, audit", rights[k]);
	}
	return RC_OK;
}

static enum rc
read_budgets(struct settings *s, struct err *err)
{
	s->n_budgets = conf_count(s->conf, "budgets");
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

static int
compare_aliases(const void *a, const void *b)
{
	return strcasecmp(((const struct alias *)a)->name, ((const struct alias *)b)->name);
}

/* One line of the map: "alias address", '#' begins a comment. */
static enum rc
read_alias(struct settings *s, const char *path, char *line, size_t number, size_t *room,
	struct err *err)
{
	char name[ADDR_MAX + 1], target[ADDR_MAX + 1], *save = NULL;
	const char *first = strtok_r(line, " \t\r", &save),
		   *second = strtok_r(NULL, " \t\r", &save);

	if (!first || *first == '#')
		return RC_OK;
	if (!second || (strtok_r(NULL, " \t\r", &save) != NULL))
		return err_set(err, ERR_CONFIG, "%s:%zu: not \"alias address\"", path, number);
	if (addr_canonical(first, strlen(first), name, err) ||
		addr_canonical(second, strlen(second), target, err) || !*name || !*target) {
		err_clear(err);
		return err_set(err, ERR_CONFIG, "%s:%zu: not a mail address", path, number);
	}
	if (s->n_aliases == *room) {
		struct alias *more = realloc(s->aliases, (*room * 2 + 64) * sizeof(*more));

		if (!more)
			return err_set(err, ERR_MEMORY, "aliases");
		s->aliases = more;
		*room = *room * 2 + 64;
	}
	s->aliases[s->n_aliases] = (struct alias){strdup(name), strdup(target)};
	s->n_aliases++;
	if (!s->aliases[s->n_aliases - 1].name || !s->aliases[s->n_aliases - 1].target)
		return err_set(err, ERR_MEMORY, "aliases");
	return RC_OK;
}

static enum rc
read_aliases(struct settings *s, struct err *err)
{
	const struct conf_group *group = conf_section(s->conf, "organisation");
	const char *path = conf_str(group, "alias_map"),
		   *delimiter = conf_str(group, "recipient_delimiter");
	struct buf text = BUF_INIT(ALIAS_FILE_MAX);
	size_t number = 0, room = 0;
	enum rc rc = RC_OK;

	s->delimiter = delimiter ? delimiter[0] : 0;
	if (!path)
		return RC_OK;
	rc = file_read(path, &text, err);
	if (rc == RC_NONE)
		rc = conf_err(err, s->conf, group, "alias_map", "%s is not there", path);
	for (char *line = text.data, *next; !rc && line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		rc = read_alias(s, path, line, ++number, &room, err);
	}
	if (!rc && s->n_aliases)
		qsort(s->aliases, s->n_aliases, sizeof(*s->aliases), compare_aliases);
	buf_fini(&text);
	return rc;
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
		rc = read_aliases(s, err);
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
	for (size_t i = 0; i < s->n_aliases; i++) {
		free(s->aliases[i].name);
		free(s->aliases[i].target);
	}
	free(s->aliases);
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

static const char *
find_alias(const struct settings *settings, const char *addr)
{
	struct alias key = {(char *)(uintptr_t)addr, NULL};
	const struct alias *found = !settings->n_aliases
					    ? NULL
					    : bsearch(&key, settings->aliases, settings->n_aliases,
						      sizeof(key), compare_aliases);

	return found ? found->target : NULL;
}

enum rc
settings_resolve(
	const struct settings *settings, const char *addr, char out[ADDR_MAX + 1], struct err *err)
{
	char stripped[ADDR_MAX + 1];
	enum rc rc = addr_canonical(addr, strlen(addr), out, err);

	if (rc)
		return rc;
	for (int depth = 0; depth < ALIAS_DEPTH; depth++) {
		const char *target = find_alias(settings, out);

		if (!target && settings->delimiter) {
			addr_strip_extension(out, settings->delimiter, stripped);
			strcpy(out, stripped);
			target = find_alias(settings, out);
		}
		if (!target || strcmp(target, out) == 0)
			return RC_OK;
		strcpy(out, target);
	}
	return err_set(err, ERR_CONFIG, "alias_map: aliases of aliases without an end");
}
