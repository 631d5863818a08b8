/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/people.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/strmap.h"
#include "directory/crawl.h"
#include "keystore/settings.h"

enum { ATTR_ID, ATTR_MAIL, ATTR_NAME, ATTR_LOGIN, ATTR_KIND, ATTR_ALIASES };

struct people {
	struct conf *conf;
	const struct conf_group *group;
	struct settings *settings;
	struct crawl *crawl;
	struct sync_rules rules;
	struct crawl_result found; /* the people, as they came */
	struct sync_entry *entries;
	struct sync_group *groups;
	char (*origins)[STORE_ORIGIN_SIZE];
	char (*owners)[ADDR_MAX + 1];
	size_t n_groups;
	struct strmap by_dn, by_login, by_mail; /* entries */
};

enum rc
people_new(struct conf *conf, struct people **out, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "people");
	const char *directory = conf_str(group, "directory");
	struct people *p;
	enum rc rc;

	*out = NULL;
	if (!directory)
		return RC_NONE;
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(err, ERR_MEMORY, "people");
	p->conf = conf_ref(conf);
	p->group = group;
	p->by_dn.no_case = p->by_login.no_case = p->by_mail.no_case = true;
	p->rules = (struct sync_rules){
		.leave_after = conf_int(group, "leave_after"),
		.keep_addresses = conf_int(group, "keep_addresses"),
		.revoke = conf_bool(group, "revoke_leavers"),
		.keys = strcmp(conf_str(group, "keys"), "none") != 0,
		.max_leave = (size_t)conf_int(group, "max_leave"),
		.max_percent = (size_t)conf_int(group, "max_leave_percent"),
	};
	rc = crawl_new(conf, directory, &p->crawl, err);
	if (!rc)
		rc = settings_new(conf, &p->settings, err);
	for (size_t i = 0; !rc && i < conf_count(conf, "people_groups"); i++) {
		const struct conf_group *g = conf_item(conf, "people_groups", i);
		char owner[ADDR_MAX + 1];

		if (settings_resolve(p->settings, conf_str(g, "owner"), owner, err) ||
			!addr_domain(owner) ||
			!addr_domain_in(
				addr_domain(owner), p->settings->domains, p->settings->n_domains))
			rc = conf_err(err, conf, g, "owner", "%s is no address of ours",
				conf_str(g, "owner"));
	}
	if (rc)
		people_free(&p);
	*out = p;
	return rc;
}

void
people_free(struct people **people)
{
	struct people *p = *people;

	*people = NULL;
	if (!p)
		return;
	for (size_t i = 0; p->entries && i < p->found.n; i++) {
		for (size_t k = 0; k < p->entries[i].n_addrs; k++)
			free((char *)(uintptr_t)p->entries[i].addrs[k]);
		free((void *)(uintptr_t)p->entries[i].addrs);
		free((char *)(uintptr_t)p->entries[i].uid);
	}
	for (size_t i = 0; p->groups && i < p->n_groups; i++)
		free((size_t *)(uintptr_t)p->groups[i].members);
	free(p->entries);
	free(p->groups);
	free(p->origins);
	free(p->owners);
	strmap_fini(&p->by_dn);
	strmap_fini(&p->by_login);
	strmap_fini(&p->by_mail);
	crawl_result_fini(&p->found);
	crawl_free(&p->crawl);
	settings_unref(&p->settings);
	conf_unref(&p->conf);
	free(p);
}

/* --- one entry --- */

/* Valid UTF-8 without control characters. */
static bool
is_text(const char *text, size_t len)
{
	for (size_t at = 0, n; at < len; at += n) {
		n = json_utf8_length(text + at, len - at);
		if (n == 0 || (unsigned char)text[at] < 0x20 || text[at] == 0x7f ||
			(n == 2 && text[at] == '\xc2' && (unsigned char)text[at + 1] < 0xa0))
			return false;
	}
	return len > 0;
}

/* A GUID of Active Directory as its tools write it; the first three parts are little-endian. */
static void
format_guid(const unsigned char *v, char out[40])
{
	snprintf(out, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		v[3], v[2], v[1], v[0], v[5], v[4], v[7], v[6], v[8], v[9], v[10], v[11], v[12],
		v[13], v[14], v[15]);
}

/* The unique id as text: what is none goes as hex digits. A new string. */
static enum rc
format_uid(const struct people *p, const struct crawl_entry *e, char **out, struct err *err)
{
	const struct crawl_values *values = &e->attrs[ATTR_ID];
	const char *attr = conf_str(p->group, "id");
	char text[STORE_UID_SIZE];

	if (values->n != 1 || values->len[0] == 0)
		return err_set(err, ERR_DIR_ANSWER,
			"%s has %zu values of %s, which should be a unique id", e->name, values->n,
			attr);
	if (strcasecmp(attr, "objectGUID") == 0 && values->len[0] == 16) {
		format_guid((const unsigned char *)values->v[0], text);
	} else if (values->len[0] < sizeof(text) && is_text(values->v[0], values->len[0])) {
		strcpy(text, values->v[0]);
	} else if (values->len[0] < sizeof(text) / 2) {
		for (size_t i = 0; i < values->len[0]; i++)
			snprintf(text + 2 * i, 3, "%02x", (unsigned char)values->v[0][i]);
	} else {
		return err_set(
			err, ERR_DIR_ANSWER, "%s: %s has %zu bytes", e->name, attr, values->len[0]);
	}
	*out = strdup(text);
	return *out ? RC_OK : err_set(err, ERR_MEMORY, "people");
}

/* An address of ours, as the vault's tables have it. What is none, and what is another kind of name
 * ("X500:…", "sip:…"), is passed over. */
static bool
take_addr(const struct people *p, const char *value, size_t len, char out[ADDR_MAX + 1])
{
	const char *colon = strchr(value, ':'), *domain;

	if (!is_text(value, len))
		return false;
	if (strncasecmp(value, "smtp:", 5) == 0)
		value += 5;
	else if (colon && strchr(colon, '@') && value[0] != '"')
		return false;
	if (settings_resolve(p->settings, value, out, NULL) != RC_OK)
		return false;
	domain = addr_domain(out);
	return domain && addr_domain_in(domain, p->settings->domains, p->settings->n_domains);
}

static enum rc
add_addr(struct sync_entry *entry, const char *addr, const char *name, struct err *err)
{
	const char **v = (const char **)(uintptr_t)entry->addrs;

	for (size_t k = 0; k < entry->n_addrs; k++)
		if (strcasecmp(entry->addrs[k], addr) == 0)
			return RC_OK;
	if (entry->n_addrs == SYNC_MAX_ADDRS)
		return err_set(
			err, ERR_DIR_ANSWER, "%s: more than %d addresses", name, SYNC_MAX_ADDRS);
	v = realloc(v, (entry->n_addrs + 1) * sizeof(*v));
	if (!v)
		return err_set(err, ERR_MEMORY, "people");
	entry->addrs = v;
	v[entry->n_addrs] = strdup(addr);
	return v[entry->n_addrs++] ? RC_OK : err_set(err, ERR_MEMORY, "people");
}

static enum person_kind
kind_of(const struct people *p, const struct crawl_entry *e)
{
	const char *const *roles;
	size_t n = conf_strings(p->group, "roles", &roles);

	if (!conf_str(p->group, "kind"))
		return PERSON_HUMAN;
	for (size_t i = 0; i < e->attrs[ATTR_KIND].n; i++)
		for (size_t k = 0; k < n; k++)
			if (strcasecmp(e->attrs[ATTR_KIND].v[i], roles[k]) == 0)
				return PERSON_ROLE;
	return PERSON_HUMAN;
}

static enum rc
take_entry(struct people *p, size_t i, size_t n_attrs, struct err *err)
{
	const struct crawl_entry *e = &p->found.v[i];
	const struct crawl_values *name = &e->attrs[ATTR_NAME];
	struct sync_entry *entry = &p->entries[i];
	char addr[ADDR_MAX + 1], *uid = NULL;
	enum rc rc = format_uid(p, e, &uid, err);

	entry->uid = uid;
	entry->kind = kind_of(p, e);
	if (name->n && name->len[0] < STORE_NAME_SIZE && is_text(name->v[0], name->len[0]))
		entry->name = name->v[0];
	for (size_t attr = ATTR_MAIL; !rc && attr < n_attrs; attr++) {
		if (attr != ATTR_MAIL && attr < ATTR_ALIASES)
			continue;
		/* "SMTP:" is the main one of proxyAddresses, "smtp:" the others. */
		for (size_t k = 0; !rc && k < 2 * e->attrs[attr].n; k++) {
			const struct crawl_values *v = &e->attrs[attr];

			if (k < v->n && strncmp(v->v[k], "SMTP:", 5) != 0)
				continue;
			if (take_addr(p, v->v[k % v->n], v->len[k % v->n], addr))
				rc = add_addr(entry, addr, e->name, err);
		}
	}
	if (!rc)
		rc = strmap_put(&p->by_dn, e->dn, i, NULL, err);
	for (size_t k = 0; !rc && k < e->attrs[ATTR_LOGIN].n; k++)
		rc = strmap_put(&p->by_login, e->attrs[ATTR_LOGIN].v[k], i, NULL, err);
	for (size_t k = 0; !rc && k < entry->n_addrs; k++)
		rc = strmap_put(&p->by_mail, entry->addrs[k], i, NULL, err);
	return rc;
}

static void
fill_query(const struct people *p, struct crawl_query *query)
{
	static const char *const usual[] = {"mailAlternateAddress", "proxyAddresses"};
	const char *const *aliases, *kind = conf_str(p->group, "kind");
	size_t n = conf_strings(p->group, "aliases", &aliases);

	if (!conf_is_set(p->group, "aliases")) {
		aliases = usual;
		n = sizeof(usual) / sizeof(*usual);
	}
	*query = (struct crawl_query){
		.base = conf_str(p->group, "base"),
		.filter = conf_str(p->group, "filter"),
		.scope = conf_str(p->group, "scope"),
		.page_size = (size_t)conf_int(p->group, "page_size"),
		.max_entries = (size_t)conf_int(p->group, "max_entries"),
		.ignore_references = strcmp(conf_str(p->group, "references"), "ignore") == 0,
		.n_attrs = ATTR_ALIASES + n,
	};
	query->attrs[ATTR_ID] = conf_str(p->group, "id");
	query->attrs[ATTR_MAIL] = conf_str(p->group, "mail");
	query->attrs[ATTR_NAME] = conf_str(p->group, "name");
	query->attrs[ATTR_LOGIN] = conf_str(p->group, "login");
	query->attrs[ATTR_KIND] = kind ? kind : "objectClass";
	for (size_t i = 0; i < n; i++)
		query->attrs[ATTR_ALIASES + i] = aliases[i];
}

/* --- groups --- */

/* Grows like the members do. */
static enum rc
add_member(struct sync_group *group, size_t entry, size_t *room, struct err *err)
{
	size_t *v = (size_t *)(uintptr_t)group->members;

	if (group->n_members == *room) {
		*room = *room * 2 + 16;
		v = realloc(v, *room * sizeof(*v));
		if (!v)
			return err_set(err, ERR_MEMORY, "people");
		group->members = v;
	}
	v[group->n_members++] = entry;
	return RC_OK;
}

/* Who VALUE is; false: nobody of the people. */
static bool
find_member(const struct people *p, const char *members, const char *value, size_t *entry)
{
	char addr[ADDR_MAX + 1], *dn;
	bool found;

	if (strcmp(members, "login") == 0)
		return strmap_find(&p->by_login, value, entry);
	if (strcmp(members, "mail") == 0)
		return take_addr(p, value, strlen(value), addr) &&
		       strmap_find(&p->by_mail, addr, entry);
	dn = crawl_dn(value);
	found = dn && strmap_find(&p->by_dn, dn, entry);
	free(dn);
	return found;
}

static enum rc
take_members(struct people *p, const struct conf_group *g, const struct crawl_result *found,
	struct sync_group *group, struct err *err)
{
	const char *members = conf_str(g, "members");
	bool entries = strcmp(members, "entries") == 0;
	size_t room = 0, entry;
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < found->n; i++) {
		const struct crawl_values *values = &found->v[i].attrs[0];

		if (entries && strmap_find(&p->by_dn, found->v[i].dn, &entry))
			rc = add_member(group, entry, &room, err);
		for (size_t k = 0; !entries && !rc && k < values->n; k++)
			if (find_member(p, members, values->v[k], &entry))
				rc = add_member(group, entry, &room, err);
	}
	return rc;
}

/* A group that is not there is trouble: somebody moved it, or may not read it any more. */
static enum rc
read_group(struct people *p, size_t i, struct err *err)
{
	const struct conf_group *g = conf_item(p->conf, "people_groups", i);
	struct crawl_query query = {
		.base = conf_str(g, "base"),
		.filter = conf_str(g, "filter"),
		.scope = "sub",
		.page_size = (size_t)conf_int(p->group, "page_size"),
		.max_entries = (size_t)conf_int(p->group, "max_entries"),
		.ignore_references = strcmp(conf_str(p->group, "references"), "ignore") == 0,
		.attrs = {conf_str(g, "member")},
		.n_attrs = 1,
	};
	struct crawl_result found;
	enum rc rc = crawl_run(p->crawl, &query, &found, err);

	if (rc)
		return rc;
	if (found.n == 0 && strcmp(conf_str(g, "members"), "entries") != 0)
		rc = err_set(err, ERR_DIR_ANSWER, "people_groups: no group %s is found by %s",
			conf_str(g, "name"), query.filter);
	snprintf(p->origins[i], sizeof(p->origins[i]), "group:%s", conf_str(g, "name"));
	if (!rc)
		rc = settings_resolve(p->settings, conf_str(g, "owner"), p->owners[i], err);
	p->groups[i].origin = p->origins[i];
	p->groups[i].owner = p->owners[i];
	p->groups[i].name = conf_str(g, "name");
	if (!rc)
		rc = take_members(p, g, &found, &p->groups[i], err);
	crawl_result_fini(&found);
	return rc;
}

enum rc
people_read(struct people *p, struct err *err)
{
	struct crawl_query query;
	enum rc rc;

	fill_query(p, &query);
	rc = crawl_run(p->crawl, &query, &p->found, err);
	if (!rc && p->found.n == 0)
		rc = err_set(err, ERR_DIR_ANSWER,
			"the directory shows nobody (people.base, people.filter, or it may not be read)");
	p->n_groups = conf_count(p->conf, "people_groups");
	p->entries = calloc(p->found.n + 1, sizeof(*p->entries));
	p->groups = calloc(p->n_groups + 1, sizeof(*p->groups));
	p->origins = calloc(p->n_groups + 1, sizeof(*p->origins));
	p->owners = calloc(p->n_groups + 1, sizeof(*p->owners));
	if (!rc && (!p->entries || !p->groups || !p->origins || !p->owners))
		rc = err_set(err, ERR_MEMORY, "people");
	for (size_t i = 0; !rc && i < p->found.n; i++)
		rc = take_entry(p, i, query.n_attrs, err);
	for (size_t i = 0; !rc && i < p->n_groups; i++)
		rc = read_group(p, i, err);
	return rc == RC_PERM ? RC_TEMP : rc;
}

void
people_view(const struct people *p, struct sync_view *view)
{
	view->entries = p->entries;
	view->n_entries = p->found.n;
	view->groups = p->groups;
	view->n_groups = p->n_groups;
}

const struct sync_rules *
people_rules(const struct people *p)
{
	return &p->rules;
}
