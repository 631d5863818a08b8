/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/logins.h"

#include "base/clock.h"
#include "directory/attribute.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LOGIN_MAX_BYTES 320
#define VALUES_MAX      (256u << 10)

struct kept {
	char *login; /* NULL: free */
	char *values;
	size_t len; /* each value with a NUL behind */
	int64_t until_ms;
};

struct logins {
	struct attributes *attributes;
	const char *attribute; /* borrowed from CONF */
	struct conf *conf;
	int64_t positive_ms, negative_ms;
	pthread_mutex_t lock;
	struct kept *kept; /* LOGINS_MAX, by hash: a later login takes an earlier one's place */
};

enum rc
logins_new(struct conf *conf, struct logins **out, struct err *err)
{
	const struct conf_group *senders = conf_section(conf, "senders");
	const struct conf_group *lookup = conf_section(conf, "lookup");
	const char *directory = conf_str(senders, "directory");
	struct logins *logins;
	enum rc rc;

	*out = NULL;
	if (!directory)
		return RC_NONE;
	logins = calloc(1, sizeof(*logins));
	if (!logins || !(logins->kept = calloc(LOGINS_MAX, sizeof(*logins->kept)))) {
		free(logins);
		return err_set(err, ERR_MEMORY, "logins");
	}
	pthread_mutex_init(&logins->lock, NULL);
	logins->conf = conf_ref(conf);
	logins->attribute = conf_str(senders, "attribute");
	logins->positive_ms = conf_int(lookup, "positive_ttl") * 1000;
	logins->negative_ms = conf_int(lookup, "negative_ttl") * 1000;
	rc = attributes_new(conf, directory, &logins->attributes, err);
	if (rc == RC_OK)
		*out = logins;
	else
		logins_free(&logins);
	return rc;
}

static void
drop(struct kept *kept)
{
	free(kept->login);
	free(kept->values);
	*kept = (struct kept){0};
}

void
logins_free(struct logins **logins)
{
	struct logins *l = *logins;

	*logins = NULL;
	if (!l)
		return;
	for (size_t i = 0; i < LOGINS_MAX; i++)
		drop(&l->kept[i]);
	free(l->kept);
	attributes_free(&l->attributes);
	pthread_mutex_destroy(&l->lock);
	conf_unref(&l->conf);
	free(l);
}

static struct kept *
slot(struct logins *logins, const char *login)
{
	uint32_t hash = 2166136261u;

	for (; *login; login++)
		hash = (hash ^ (unsigned char)*login) * 16777619u;
	return &logins->kept[hash % LOGINS_MAX];
}

/* A kept answer that is still good, appended to VALUES. */
static enum rc
find_kept(
	struct logins *logins, const char *login, struct buf *values, bool *found, struct err *err)
{
	struct kept *kept = slot(logins, login);
	enum rc rc = RC_OK;

	pthread_mutex_lock(&logins->lock);
	*found = kept->login && strcmp(kept->login, login) == 0 &&
		 clock_monotonic_ms() < kept->until_ms;
	if (*found)
		rc = buf_append(values, kept->values, kept->len, err);
	pthread_mutex_unlock(&logins->lock);
	return rc;
}

/* No memory: not kept. */
static void
keep(struct logins *logins, const char *login, const struct buf *values)
{
	struct kept fresh = {.login = strdup(login), .values = malloc(values->len + 1)};
	struct kept *kept = slot(logins, login);

	if (!fresh.login || !fresh.values) {
		drop(&fresh);
		return;
	}
	memcpy(fresh.values, buf_text(values), values->len);
	fresh.len = values->len;
	fresh.until_ms =
		clock_monotonic_ms() + (values->len ? logins->positive_ms : logins->negative_ms);
	pthread_mutex_lock(&logins->lock);
	drop(kept);
	*kept = fresh;
	pthread_mutex_unlock(&logins->lock);
}

/* VALUES as canonical addresses; what is none is passed over. */
static enum rc
take_addresses(const struct buf *values, struct addrlist *out, struct err *err)
{
	char addr[ADDR_MAX + 1];

	for (size_t at = 0; at < values->len; at += strlen(values->data + at) + 1) {
		const char *text = values->data + at;
		char **v;

		if (strncasecmp(text, "smtp:", 5) == 0)
			text += 5;
		if (addr_canonical(text, strlen(text), addr, NULL) != RC_OK || !addr_domain(addr))
			continue;
		v = realloc(out->v, (out->n + 1) * sizeof(*v));
		if (!v)
			return err_set(err, ERR_MEMORY, "addresses of a login");
		out->v = v;
		v[out->n] = strdup(addr);
		if (!v[out->n])
			return err_set(err, ERR_MEMORY, "addresses of a login");
		out->n++;
	}
	return RC_OK;
}

enum rc
logins_find(struct logins *logins, const char *login, struct addrlist *out, struct err *err)
{
	struct buf values = BUF_INIT(VALUES_MAX);
	bool found = false;
	enum rc rc;

	memset(out, 0, sizeof(*out));
	if (strlen(login) > LOGIN_MAX_BYTES)
		return RC_OK; /* nobody has it */
	rc = find_kept(logins, login, &values, &found, err);
	if (rc == RC_OK && !found) {
		rc = attributes_all(logins->attributes, login, &logins->attribute, 1, &values, err);
		if (rc == RC_OK || rc == RC_NONE) {
			keep(logins, login, &values);
			rc = RC_OK;
		} else {
			rc = RC_TEMP;
		}
	}
	if (rc == RC_OK)
		rc = take_addresses(&values, out, err);
	if (rc != RC_OK)
		addrlist_fini(out);
	buf_fini(&values);
	return rc;
}
