/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/forwarding.h"

#include "directory/attribute.h"
#include "message/addr.h"

#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 65536

struct forwarding {
	struct conf *conf;
	const struct policy *policy;
	struct attributes *directory;
	const char *const *names, *const *inside;
	size_t n_names, n_inside;
};

static const char *const usual[] = {"mailForwardingAddress", "mailRoutingAddress"};

enum rc
forwarding_new(
	struct conf *conf, const struct policy *policy, struct forwarding **out, struct err *err)
{
	const struct conf_group *group = conf_section(conf, "forwarding");
	const char *directory = conf_str(group, "directory");
	struct forwarding *f;
	enum rc rc;

	*out = NULL;
	if (!directory)
		return RC_NONE;
	f = calloc(1, sizeof(*f));
	if (!f)
		return err_set(err, ERR_MEMORY, "forwarding");
	f->conf = conf_ref(conf);
	f->policy = policy;
	f->n_names = conf_strings(group, "attributes", &f->names);
	f->n_inside = conf_strings(group, "inside", &f->inside);
	if (f->n_names == 0) {
		f->names = usual;
		f->n_names = sizeof(usual) / sizeof(usual[0]);
	}
	rc = attributes_new(conf, directory, &f->directory, err);
	if (rc == RC_OK)
		*out = f;
	else
		forwarding_free(&f);
	return rc;
}

void
forwarding_free(struct forwarding **forwarding)
{
	struct forwarding *f = *forwarding;

	*forwarding = NULL;
	if (!f)
		return;
	attributes_free(&f->directory);
	conf_unref(&f->conf);
	free(f);
}

/* Addresses that were found; each is looked at once. */
struct trail {
	char v[FORWARDING_MAX][ADDR_MAX + 1];
	size_t n;
	bool leaves;
};

/* One value. What is no address is somewhere that we do not know: outside. */
static void
follow(const struct forwarding *f, const char *value, struct trail *trail)
{
	char addr[ADDR_MAX + 1];
	const char *domain = NULL;

	if (addr_canonical(value, strlen(value), addr, NULL) == RC_OK)
		domain = addr_domain(addr);
	if (!domain && *value && !strpbrk(value, "@|/:\"\\"))
		return; /* a mailbox's name on this site */
	if (!domain || (policy_direction(f->policy, true, addr) == DIR_OUTBOUND &&
			       !addr_domain_in(domain, f->inside, f->n_inside))) {
		trail->leaves = true;
		return;
	}
	for (size_t i = 0; i < trail->n; i++)
		if (addr_equal(trail->v[i], addr))
			return;
	if (trail->n == FORWARDING_MAX)
		trail->leaves = true;
	else
		strcpy(trail->v[trail->n++], addr);
}

enum rc
forwarding_leaves(struct forwarding *f, const char *addr, bool *leaves, struct err *err)
{
	struct trail *trail = calloc(1, sizeof(*trail));
	struct buf values = BUF_INIT(VALUES_MAX);
	enum rc rc = RC_OK;

	*leaves = false;
	if (!trail)
		return err_set(err, ERR_MEMORY, "forwarding");
	follow(f, addr, trail);
	for (size_t i = 0; rc >= RC_OK && !trail->leaves && i < trail->n; i++) {
		buf_clear(&values);
		rc = attributes_all(f->directory, trail->v[i], f->names, f->n_names, &values, err);
		for (size_t at = 0; rc == RC_OK && at < values.len;
			at += strlen(values.data + at) + 1)
			follow(f, values.data + at, trail);
	}
	*leaves = trail->leaves;
	free(trail);
	buf_fini(&values);
	if (rc == RC_PERM) /* an answer past the limits */
		return err_set(err, ERR_DIR_ANSWER, "too many forwarding addresses");
	return rc == RC_TEMP ? rc : RC_OK;
}
