/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ldap_bench.c - look-ups in a real directory against bare libldap, in the same run
 *
 *     ldap_bench ldif N SUFFIX CA.der     N people, user0@bench.test …, as LDIF on standard output
 *     ldap_bench run N URI SUFFIX CA.der  the figures
 *
 * Bare: one kept connection, ldap_search_ext_s with the same filter and attributes, the values
 * taken out; then the same with OpenSSL parsing the certificate and its key, which nobody is spared
 * who uses one. Against the first stands the directory alone (search, whose entry it is,
 * candidates) for certificates that were seen before; against the second, for those that were not:
 * these two are what the goal is about. Then the whole look-up through its thread, with the local
 * store before it and the path of a new certificate checked behind it. Warm: an address that is
 * remembered. In turns, in small batches; a ratio is the median over the rounds.
 */
#include "config.h"

#include <ldap.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "crypto/issue.h"
#include "directory/ldap.h"
#include "directory/source.h"

#define ROUNDS 41
#define BATCH  50
#define GOAL   1.2

static void
die(const char *what, const struct err *err)
{
	fprintf(stderr, "ldap_bench: %s%s%s\n", what, err ? ": " : "", err ? err->detail : "");
	exit(1);
}

static double
seconds_of(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* --- people --- */

static void
put_base64(const unsigned char *p, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		unsigned long n = (unsigned long)p[i] << 16 |
				  (i + 1 < len ? (unsigned long)p[i + 1] << 8 : 0) |
				  (i + 2 < len ? p[i + 2] : 0);

		putchar(digits[n >> 18 & 63]);
		putchar(digits[n >> 12 & 63]);
		putchar(i + 1 < len ? digits[n >> 6 & 63] : '=');
		putchar(i + 2 < len ? digits[n & 63] : '=');
	}
}

static int
write_ldif(int n, const char *suffix, const char *ca_path)
{
	struct issue_request request = {.common_name = "Bench CA",
		.not_before = clock_now() - 86400,
		.not_after = clock_now() + 86400 * 365};
	struct pkey *ca_key, *key;
	struct cert *ca, *cert;
	struct buf spki = BUF_INIT(4096);
	struct err err = ERR_INIT;
	const unsigned char *der;
	size_t len;

	if (pkey_generate("rsa2048", &ca_key, &err) != RC_OK ||
		pkey_generate("rsa2048", &key, &err) != RC_OK ||
		pkey_public(key, &spki, &err) != RC_OK ||
		issue_root(ca_key, &request, &ca, &err) != RC_OK)
		die("CA", &err);
	der = cert_der(ca, &len);
	if (file_write(ca_path, der, len, 0644, &err) != RC_OK)
		die(ca_path, &err);
	printf("dn: %s\nobjectClass: dcObject\nobjectClass: organization\ndc: bench\no: bench\n",
		suffix);
	for (int i = 0; i < n; i++) {
		char addr[64];

		snprintf(addr, sizeof(addr), "user%d@bench.test", i);
		request.common_name = request.addr = addr;
		request.use = CERT_ENCRYPT;
		if (issue_leaf(ca_key, ca, spki.data, spki.len, &request, &cert, &err) != RC_OK)
			die("certificate", &err);
		printf("\ndn: uid=u%d,%s\nobjectClass: inetOrgPerson\nuid: u%d\ncn: user %d\nsn: x\n"
		       "mail: %s\nuserCertificate;binary:: ",
			i, suffix, i, i, addr);
		der = cert_der(cert, &len);
		put_base64(der, len);
		putchar('\n');
		cert_unref(&cert);
	}
	cert_unref(&ca);
	pkey_unref(&key);
	pkey_unref(&ca_key);
	buf_fini(&spki);
	return 0;
}

/* --- figures --- */

struct bench {
	LDAP *ld;
	const char *base;
	struct source *source;
	struct lookups *cold, *warm;
};

/* The certificate, for PARSE. */
static void
search(struct bench *b, int i, void (*parse)(const struct berval *der))
{
	char filter[80];
	char *attributes[] = {(char *)"userSMIMECertificate", (char *)"userCertificate", NULL};
	struct timeval limit = {.tv_sec = 5};
	LDAPMessage *answer = NULL;
	struct berval **values = NULL;

	snprintf(filter, sizeof(filter), "(mail=user%d@bench.test)", i);
	if (ldap_search_ext_s(b->ld, b->base, LDAP_SCOPE_SUBTREE, filter, attributes, 0, NULL, NULL,
		    &limit, 17, &answer) == LDAP_SUCCESS)
		values = ldap_get_values_len(
			b->ld, ldap_first_entry(b->ld, answer), "userCertificate;binary");
	if (!values || values[0]->bv_len < 500)
		die("libldap found nothing", NULL);
	if (parse)
		parse(values[0]);
	ldap_value_free_len(values);
	ldap_msgfree(answer);
}

static void
parse_by_openssl(const struct berval *der)
{
	const unsigned char *p = (const unsigned char *)der->bv_val;
	X509 *cert = d2i_X509(NULL, &p, (long)der->bv_len);

	if (!cert || !X509_get0_pubkey(cert))
		die("OpenSSL does not like the certificate", NULL);
	X509_free(cert);
}

static void
ask_bare(struct bench *b, int i)
{
	search(b, i, NULL);
}

static void
ask_parsed(struct bench *b, int i)
{
	search(b, i, parse_by_openssl);
}

static void
ask_source(struct bench *b, int i)
{
	struct answer answer = {0};
	struct err err = ERR_INIT;
	char addr[64];

	snprintf(addr, sizeof(addr), "user%d@bench.test", i);
	if (b->source->find(b->source->ctx, addr, &answer, &err) != RC_OK || answer.n != 1)
		die("the directory found nothing", &err);
	answer_fini(&answer);
}

static void
ask_lookups(struct lookups *lookups, int i)
{
	const struct lookup_result *result;
	struct lookup *lookup = NULL;
	struct err err = ERR_INIT;
	char addr[64];

	snprintf(addr, sizeof(addr), "user%d@bench.test", i);
	if (lookup_begin(lookups, addr, &lookup, &err) != RC_OK ||
		lookup_wait(lookup, 10000, &result, &err) != RC_OK)
		die("look-up", &err);
	if (result->rc != RC_OK || result->n != 1 || !result->v[0].used)
		die(result->n ? result->v[0].why : "the look-up found nothing", &result->err);
	lookup_free(&lookup);
}

static void
ask_cold(struct bench *b, int i)
{
	ask_lookups(b->cold, i);
}

static void
ask_warm(struct bench *b, int i)
{
	ask_lookups(b->warm, i);
}

struct way {
	const char *name;
	void (*ask)(struct bench *b, int i);
	size_t against; /* which way its ratio is to */
	bool goal;
	enum {
		PEOPLE_SAME,
		PEOPLE_ONE,
		PEOPLE_OTHER
	} people;                         /* asked for: always the same; each
					      once; each once, and others */
	double wall[ROUNDS], cpu[ROUNDS]; /* s for one */
	double ratio[ROUNDS], cpu_ratio[ROUNDS];
};

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
median(const double *v)
{
	double sorted[ROUNDS];

	memcpy(sorted, v, sizeof(sorted));
	qsort(sorted, ROUNDS, sizeof(*sorted), compare);
	return sorted[ROUNDS / 2];
}

static void
measure(struct bench *b, struct way *ways, size_t n_ways, int n)
{
	for (int i = 0; i < BATCH; i++) { /* connections, and what the warm one remembers */
		for (size_t k = 0; k < n_ways; k++)
			ways[k].ask(b, i);
	}
	for (int r = 0; r < ROUNDS; r++)
		for (size_t k = 0; k < n_ways; k++) {
			struct way *w = &ways[k];
			int from = w->people == PEOPLE_SAME ? 0 : (r + 1) * BATCH;
			double wall = seconds_of(CLOCK_MONOTONIC),
			       cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);

			if (w->people == PEOPLE_OTHER)
				from += n / 2;
			for (int i = from; i < from + BATCH; i++)
				w->ask(b, i);
			w->wall[r] = (seconds_of(CLOCK_MONOTONIC) - wall) / BATCH;
			w->cpu[r] = (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu) / BATCH;
			w->ratio[r] = w->wall[r] / ways[w->against].wall[r];
			w->cpu_ratio[r] = w->cpu[r] / ways[w->against].cpu[r];
		}
}

static struct lookups *
make_lookups(struct conf *conf, struct certstore *store, struct trust *trust)
{
	struct lookups *lookups;
	struct err err = ERR_INIT;

	if (lookups_new(conf, store, trust, &lookups, &err) != RC_OK)
		die("look-ups", &err);
	return lookups;
}

static struct conf *
make_conf(const char *uri, const char *suffix, const char *ttl)
{
	struct conf *conf;
	struct err err = ERR_INIT;
	char text[1000];

	snprintf(text, sizeof(text),
		"organisation = { domains = \"here.test\"; };\n"
		"lookup = { positive_ttl = \"%s\"; negative_ttl = \"0\"; };\n"
		"directories = ( { name = \"bench\"; uri = \"%s\"; base = \"%s\"; } );\n",
		ttl, uri, suffix);
	if (conf_parse(text, "bench", "/", &conf, &err) != RC_OK)
		die("configuration", &err);
	return conf;
}

static struct trust *
make_trust(const char *ca_path)
{
	struct trust_options options = {.revocation = REVOKE_IF_KNOWN, .min_rsa = 2048};
	struct buf der = BUF_INIT(65536);
	struct certset set = {0};
	struct trust *trust;
	struct err err = ERR_INIT;

	if (file_read(ca_path, &der, &err) != RC_OK ||
		certset_parse(der.data, der.len, &set, &err) != RC_OK ||
		trust_new(&options, &trust, &err) != RC_OK ||
		trust_add_anchor(trust, set.v[0], NULL, 0, &err) != RC_OK)
		die(ca_path, &err);
	certset_fini(&set);
	buf_fini(&der);
	return trust;
}

static void
print(const struct way *ways, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		const struct way *w = &ways[k];

		printf("ldap %-42s %7.1f us, %6.1f us of processor", w->name, median(w->wall) * 1e6,
			median(w->cpu) * 1e6);
		if (w->against != k)
			printf("  %.2f times \"%s\" (processor %.2f)", median(w->ratio),
				ways[w->against].name, median(w->cpu_ratio));
		if (w->goal)
			printf("  goal %.1f: %s", GOAL,
				median(w->ratio) <= GOAL ? "kept" : "MISSED");
		printf("\n");
	}
}

static int
run(int n, const char *uri, const char *suffix, const char *ca_path)
{
	struct conf *none = make_conf(uri, suffix, "0"), *some = make_conf(uri, suffix, "1h");
	struct trust *trust = make_trust(ca_path);
	struct certstore *store;
	struct bench b = {.base = suffix};
	struct err err = ERR_INIT;
	int version = LDAP_VERSION3;
	struct way ways[] = {
		{"bare libldap", ask_bare, 0, false, PEOPLE_ONE, {0}, {0}, {0}, {0}},
		{"bare libldap, parsed by OpenSSL", ask_parsed, 1, false, PEOPLE_ONE, {0}, {0}, {0},
			{0}},
		{"cold, the directory, new certificates", ask_source, 1, true, PEOPLE_ONE, {0}, {0},
			{0}, {0}},
		{"cold, the directory, certificates seen before", ask_source, 0, true, PEOPLE_ONE,
			{0}, {0}, {0}, {0}},
		{"cold, with store, thread and path", ask_cold, 1, false, PEOPLE_OTHER, {0}, {0},
			{0}, {0}},
		{"warm", ask_warm, 0, false, PEOPLE_SAME, {0}, {0}, {0}, {0}},
	};

	if (ldap_initialize(&b.ld, uri) != LDAP_SUCCESS ||
		ldap_set_option(b.ld, LDAP_OPT_PROTOCOL_VERSION, &version) != LDAP_OPT_SUCCESS)
		die("libldap", NULL);
	if (certstore_open("ldap-bench.db", true, &store, &err) != RC_OK)
		die("store", &err);
	if (source_ldap_new(none, conf_item(none, "directories", 0), 0, &b.source, &err) != RC_OK)
		die("directory", &err);
	b.cold = make_lookups(none, store, trust);
	b.warm = make_lookups(some, store, trust);
	measure(&b, ways, sizeof(ways) / sizeof(*ways), n);
	print(ways, sizeof(ways) / sizeof(*ways));
	lookups_free(&b.cold);
	lookups_free(&b.warm);
	source_free(&b.source);
	certstore_close(&store);
	ldap_unbind_ext(b.ld, NULL, NULL);
	trust_unref(&trust);
	conf_unref(&none);
	conf_unref(&some);
	return 0;
}

int
main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[2]) : 0;

	if (argc == 5 && strcmp(argv[1], "ldif") == 0 && n > 0)
		return write_ldif(n, argv[3], argv[4]);
	if (argc == 6 && strcmp(argv[1], "run") == 0 && n >= 2 * (ROUNDS + 2) * BATCH)
		return run(n, argv[3], argv[4], argv[5]);
	fprintf(stderr, "usage: ldap_bench ldif N SUFFIX CA.der | run N URI SUFFIX CA.der\n");
	return 64;
}
