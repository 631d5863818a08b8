/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/group_walk.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "directory/crawl.h"
#include "directory/groups.h"
#include "directory/ldap_attrs.h"
#include "directory/ldap_search.h"
#include "directory/ldap_settings.h"

#define MAX_PERSONS 16         /* entries with one address */
#define MAX_BYTES   (4u << 20) /* in an answer */
#define MAX_NAME    1024       /* bytes of a distinguished name */
#define MAX_MEMBERS 8          /* attributes of groups that name members */
#define IN_CHAIN    "1.2.840.113556.1.4.1941"

enum nested { NESTED_NO, NESTED_CHAIN, NESTED_WALK };

struct group_walk {
	struct conf *conf;
	const char *name, *base, *filter; /* of the directory */
	int scope;
	const char *groups_base;
	bool by_member; /* by a search for groups */
	const char *attribute, *login;
	const char *members[MAX_MEMBERS];
	size_t n_members;
	enum nested nested;
	struct ldap_pool *pool;
};

/* --- groups --- */

static void
group_fini(struct group *group)
{
	free(group->dn);
	free(group->cn);
	free(group->exact);
}

void
group_list_fini(struct group_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		group_fini(&list->v[i]);
	free(list->v);
	*list = (struct group_list){0};
}

/* The value of the first part of a distinguished name: a new string. */
static char *
first_value(const char *text)
{
	LDAPDN dn = NULL;
	char *value = NULL;

	if (ldap_str2dn(text, &dn, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS && dn && dn[0] &&
		dn[0][0])
		value = strndup(dn[0][0]->la_value.bv_val, dn[0][0]->la_value.bv_len);
	ldap_dnfree(dn);
	return value;
}

/* Each group once. What is no name is passed over: nobody can mean it. */
static enum rc
list_add(struct group_list *list, const struct berval *name, struct err *err)
{
	struct group group = {0};

	if (name->bv_len > MAX_NAME || memchr(name->bv_val, '\0', name->bv_len))
		return RC_OK;
	group.exact = strndup(name->bv_val, name->bv_len);
	group.dn = group.exact ? crawl_dn(group.exact) : NULL;
	group.cn = group.dn ? first_value(group.exact) : NULL;
	for (size_t i = 0; group.cn && i < list->n; i++)
		if (strcmp(list->v[i].dn, group.dn) == 0) {
			group_fini(&group);
			return RC_OK;
		}
	if (!group.cn) {
		group_fini(&group);
		return RC_OK;
	}
	if (list->n == list->room && list->n < GROUPS_MAX_FOUND) {
		size_t room = list->room * 2 + 16;
		struct group *v = realloc(list->v, room * sizeof(*v));

		list->v = v ? v : list->v;
		list->room = v ? room : list->room;
	}
	if (list->n == list->room || list->n == GROUPS_MAX_FOUND) {
		group_fini(&group);
		return err_set(err, ERR_DIR_ANSWER, "more than %d groups", GROUPS_MAX_FOUND);
	}
	list->v[list->n++] = group;
	return RC_OK;
}

enum rc
group_name_init(struct group_name *name, const char *text, struct err *err)
{
	*name = (struct group_name){.cn = text};
	if (!strchr(text, '='))
		return RC_OK;
	name->dn = crawl_dn(text);
	return name->dn ? RC_OK
			: err_set(err, ERR_CONFIG, "group \"%.100s\" is no distinguished name",
				  text);
}

void
group_name_fini(struct group_name *name)
{
	free(name->dn);
	*name = (struct group_name){0};
}

bool
group_name_is(const struct group_name *name, const struct group *group)
{
	return name->dn ? strcmp(name->dn, group->dn) == 0 : strcasecmp(name->cn, group->cn) == 0;
}

/* --- set-up --- */

static void
read_settings(struct group_walk *w, const struct conf_group *directory)
{
	static const char *const usual[] = {"member", "uniqueMember", "memberUid"};
	const struct conf_group *section = conf_section(w->conf, "groups");
	const char *nested = conf_str(section, "nested");
	const char *const *members;
	size_t n = conf_strings(section, "members", &members);

	w->name = conf_str(directory, "name");
	w->base = conf_str(directory, "base");
	w->filter = conf_str(directory, "filter");
	w->scope = ldap_settings_scope(directory);
	w->groups_base = conf_str(section, "base") ? conf_str(section, "base") : w->base;
	w->by_member = strcmp(conf_str(section, "way"), "member") == 0;
	w->attribute = conf_str(section, "attribute");
	w->login = conf_str(section, "login_attribute");
	w->nested = strcmp(nested, "chain") == 0  ? NESTED_CHAIN
		    : strcmp(nested, "walk") == 0 ? NESTED_WALK
						  : NESTED_NO;
	if (n == 0) {
		members = usual;
		n = sizeof(usual) / sizeof(usual[0]);
	}
	for (; w->n_members < n && w->n_members < MAX_MEMBERS; w->n_members++)
		w->members[w->n_members] = members[w->n_members];
}

enum rc
group_walk_new(struct conf *conf, struct group_walk **out, const char *const **domains,
	size_t *n_domains, struct err *err)
{
	const char *name = conf_str(conf_section(conf, "groups"), "directory");
	const struct conf_group *directory = ldap_settings_find(conf, name);
	int error_ttl = (int)conf_int(conf_section(conf, "lookup"), "error_ttl");
	struct group_walk *w;
	enum rc rc;

	*out = NULL;
	if (!directory)
		return err_set(err, ERR_CONFIG,
			"%s: groups.directory: there is no directory called %s", conf_path(conf),
			name);
	rc = ldap_settings_check_filter(conf, directory, err);
	if (rc != RC_OK)
		return rc;
	w = calloc(1, sizeof(*w));
	if (!w)
		return err_set(err, ERR_MEMORY, "groups");
	w->conf = conf_ref(conf);
	read_settings(w, directory);
	*n_domains = conf_strings(directory, "domains", domains);
	rc = ldap_settings_pool(conf, directory, w->name, error_ttl, &w->pool, err);
	if (rc == RC_OK)
		*out = w;
	else
		group_walk_free(&w);
	return rc;
}

void
group_walk_free(struct group_walk **walk)
{
	struct group_walk *w = *walk;

	*walk = NULL;
	if (!w)
		return;
	ldap_pool_free(&w->pool);
	conf_unref(&w->conf);
	free(w);
}

/* --- questions --- */

struct person {
	char *dn; /* as the server writes it */
	char *login;
};

struct tour { /* for one address */
	struct group_walk *walk;
	struct group_list *found;
	struct person persons[MAX_PERSONS];
	size_t n_persons;
	size_t had;       /* groups before the question */
	size_t questions; /* asked so far */
	int64_t until;    /* when the next one is not asked any more */
};

/* The groups that this attribute names; in ranges there are more of them than are believed. */
static enum rc
take_attribute(struct tour *t, const struct ldap_attrs *attrs, struct err *err)
{
	const char *name = attrs->name.bv_val;
	size_t len = attrs->name.bv_len;
	enum rc rc = RC_OK;

	if (!ldap_attrs_is(attrs, t->walk->attribute))
		return RC_OK;
	if (memmem(name, len, ";range=", 7) && !memchr(name, '*', len))
		return err_set(err, ERR_DIR_ANSWER, "directory %s: %s comes in ranges",
			t->walk->name, t->walk->attribute);
	for (const struct berval *v = attrs->values; rc == RC_OK && v && v->bv_val; v++)
		rc = list_add(t->found, v, err);
	return rc;
}

/* The first value is the login. */
static enum rc
take_login(struct person *person, const struct ldap_attrs *attrs, struct err *err)
{
	const struct berval *value = attrs->values;

	if (person->login || !value || !value->bv_val)
		return RC_OK;
	person->login = strndup(value->bv_val, value->bv_len);
	return person->login ? RC_OK : err_set(err, ERR_MEMORY, "groups");
}

static enum rc
take_person(void *ctx, const struct ldap_lease *lease, LDAPMessage *entry, struct err *err)
{
	struct tour *t = ctx;
	struct person *person = &t->persons[t->n_persons];
	struct ldap_attrs attrs;
	enum rc rc = ldap_attrs_begin(&attrs, lease->ld, entry, t->walk->name, err);

	if (rc == RC_OK && !(person->dn = strdup(attrs.dn)))
		rc = err_set(err, ERR_MEMORY, "groups");
	t->n_persons += rc == RC_OK;
	while (rc == RC_OK && (rc = ldap_attrs_next(&attrs, err)) == RC_OK) {
		if (ldap_attrs_is(&attrs, t->walk->login))
			rc = take_login(person, &attrs, err);
		if (rc == RC_OK && !t->walk->by_member)
			rc = take_attribute(t, &attrs, err);
	}
	ldap_attrs_end(&attrs);
	return rc == RC_NONE ? RC_OK : rc;
}

/* The answer is the name of the entry. */
static enum rc
take_group(void *ctx, const struct ldap_lease *lease, LDAPMessage *entry, struct err *err)
{
	struct tour *t = ctx;
	char *dn = ldap_get_dn(lease->ld, entry);
	struct berval name = {.bv_val = dn, .bv_len = dn ? strlen(dn) : 0};
	enum rc rc = dn ? list_add(t->found, &name, err)
			: err_set(err, ERR_DIR_ANSWER, "directory %s: an entry without a name",
				  t->walk->name);

	ldap_memfree(dn);
	return rc;
}

/* A group's own entry. */
static enum rc
take_parents(void *ctx, const struct ldap_lease *lease, LDAPMessage *entry, struct err *err)
{
	struct tour *t = ctx;
	struct ldap_attrs attrs;
	enum rc rc = ldap_attrs_begin(&attrs, lease->ld, entry, t->walk->name, err);

	while (rc == RC_OK && (rc = ldap_attrs_next(&attrs, err)) == RC_OK)
		rc = take_attribute(t, &attrs, err);
	ldap_attrs_end(&attrs);
	return rc == RC_NONE ? RC_OK : rc;
}

/* Another server is asked. */
static void
forget(void *ctx)
{
	struct tour *t = ctx;

	while (t->found->n > t->had)
		group_fini(&t->found->v[--t->found->n]);
}

static void
forget_persons(void *ctx)
{
	struct tour *t = ctx;

	for (size_t i = 0; i < t->n_persons; i++) {
		free(t->persons[i].dn);
		free(t->persons[i].login);
		t->persons[i] = (struct person){0};
	}
	t->n_persons = 0;
	forget(t);
}

static enum rc
ask(struct tour *t, struct ldap_search *search, struct err *err)
{
	enum rc rc;

	if (++t->questions > GROUPS_MAX_QUESTIONS)
		return err_set(err, ERR_DIR_ANSWER,
			"directory %s: more than %d questions for the groups of one person",
			t->walk->name, GROUPS_MAX_QUESTIONS);
	if (t->questions > 1 && clock_monotonic_ms() > t->until)
		return err_set(err, ERR_DIR_TIMEOUT,
			"directory %s: asking for the groups of one person takes too long",
			t->walk->name);
	search->name = t->walk->name;
	search->max_bytes = MAX_BYTES;
	search->ctx = t;
	t->had = t->found->n;
	rc = ldap_search_any(search, t->walk->pool, err);
	ldap_search_fini(search);
	return rc;
}

static enum rc
find_persons(struct tour *t, const char *addr, struct err *err)
{
	struct buf filter = BUF_INIT(16384);
	char *attributes[3] = {
		(char *)(uintptr_t)t->walk->attribute, (char *)(uintptr_t)t->walk->login, NULL};
	struct ldap_search search = {.base = t->walk->base,
		.scope = t->walk->scope,
		.attributes = attributes,
		.size_limit = MAX_PERSONS + 1,
		.max_entries = MAX_PERSONS,
		.take = take_person,
		.again = forget_persons};
	enum rc rc = ldap_filter_format(t->walk->filter, addr, &filter, err);

	search.filter = buf_text(&filter);
	if (rc == RC_OK)
		rc = ask(t, &search, err);
	buf_fini(&filter);
	return rc;
}

/* "(member=…)" for each attribute that names members by DN, or by LOGIN. RC_NONE: nothing to ask.
 */
static enum rc
member_filter(const struct group_walk *w, const char *dn, const char *login, struct buf *out,
	struct err *err)
{
	enum rc rc = buf_append_str(out, "(|", err);
	size_t empty = out->len;

	for (size_t i = 0; rc == RC_OK && i < w->n_members; i++) {
		bool by_login = strcasecmp(w->members[i], "memberUid") == 0;
		const char *value = by_login ? login : dn;

		if (!value || (by_login && w->nested == NESTED_CHAIN))
			continue;
		rc = buf_appendf(out, err, "(%s%s=", w->members[i],
			w->nested == NESTED_CHAIN ? ":" IN_CHAIN ":" : "");
		if (rc == RC_OK)
			rc = ldap_filter_append(value, out, err);
		if (rc == RC_OK)
			rc = buf_append_char(out, ')', err);
	}
	if (rc == RC_OK && out->len == empty)
		return RC_NONE;
	return rc == RC_OK ? buf_append_char(out, ')', err) : rc;
}

/* The groups that name DN or LOGIN. */
static enum rc
find_by_member(struct tour *t, const char *dn, const char *login, struct err *err)
{
	struct buf filter = BUF_INIT(65536);
	char *attributes[2] = {(char *)"1.1", NULL}; /* no attributes: RFC 4511 section 4.5.1.8 */
	struct ldap_search search = {.base = t->walk->groups_base,
		.scope = LDAP_SCOPE_SUBTREE,
		.attributes = attributes,
		.max_entries = GROUPS_MAX_FOUND,
		.take = take_group,
		.again = forget};
	enum rc rc = member_filter(t->walk, dn, login, &filter, err);

	search.filter = buf_text(&filter);
	if (rc == RC_OK)
		rc = ask(t, &search, err);
	buf_fini(&filter);
	return rc == RC_NONE ? RC_OK : rc;
}

/* The groups that the group DN names in its own entry. */
static enum rc
find_in_group(struct tour *t, const char *dn, struct err *err)
{
	char *attributes[2] = {(char *)(uintptr_t)t->walk->attribute, NULL};
	struct ldap_search search = {.base = dn,
		.scope = LDAP_SCOPE_BASE,
		.filter = "(objectClass=*)",
		.attributes = attributes,
		.max_entries = 1,
		.take = take_parents,
		.again = forget};

	return ask(t, &search, err);
}

/* The groups of groups, level by level; the list grows behind. */
static enum rc
climb(struct tour *t, struct err *err)
{
	size_t from = 0;
	enum rc rc = RC_OK;

	for (int level = 0; rc == RC_OK && from < t->found->n; level++) {
		size_t to = t->found->n;

		if (level == GROUPS_MAX_LEVELS)
			return err_set(err, ERR_DIR_ANSWER,
				"directory %s: groups in groups past %d levels", t->walk->name,
				GROUPS_MAX_LEVELS);
		for (; rc == RC_OK && from < to; from++)
			rc = t->walk->by_member
				     ? find_by_member(t, t->found->v[from].exact, NULL, err)
				     : find_in_group(t, t->found->v[from].exact, err);
	}
	return rc;
}

enum rc
group_walk_run(struct group_walk *walk, const char *addr, struct group_list *out, struct err *err)
{
	struct tour t = {.walk = walk,
		.found = out,
		.until = clock_monotonic_ms() + ldap_pool_timeout(walk->pool)};
	bool search = walk->by_member || walk->nested == NESTED_CHAIN;
	enum rc rc = find_persons(&t, addr, err);

	for (size_t i = 0; rc == RC_OK && search && i < t.n_persons; i++)
		rc = find_by_member(&t, t.persons[i].dn, t.persons[i].login, err);
	if (rc == RC_OK && walk->nested == NESTED_WALK)
		rc = climb(&t, err);
	t.had = out->n; /* what was found stays */
	forget_persons(&t);
	return rc;
}
