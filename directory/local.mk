## SPDX-License-Identifier: BSD-2-Clause
noinst_LIBRARIES += libdirectory.a
libdirectory_a_SOURCES = \
	directory/anchors.c directory/anchors.h \
	directory/answers.c directory/answers.h \
	directory/attribute.c directory/attribute.h \
	directory/breaker.c directory/breaker.h \
	directory/certstore.c directory/certstore.h directory/certstore_private.h \
	directory/certstore_change.c directory/certstore_db.c directory/certstore_history.c \
	directory/certstore_rows.c directory/certstore_schema.def directory/certstore_used.c \
	directory/crawl.c directory/crawl.h \
	directory/domain.c \
	directory/group_walk.c directory/group_walk.h \
	directory/groups.c directory/groups.h \
	directory/certstore_harvest.c directory/certstore_harvest.h \
	directory/certstore_pending.c directory/certstore_shown.c \
	directory/harvest.c directory/harvest.h directory/harvest_dkim.c directory/harvest_store.h \
	directory/ldap.c directory/ldap.h \
	directory/ldap_conn.c directory/ldap_conn.h \
	directory/ldap_attrs.c directory/ldap_attrs.h \
	directory/ldap_entry.c directory/ldap_entry.h \
	directory/ldap_guard.c directory/ldap_guard.h \
	directory/ldap_probe.c directory/ldap_probe.h \
	directory/ldap_search.c directory/ldap_search.h \
	directory/ldap_settings.c directory/ldap_settings.h \
	directory/logins.c directory/logins.h \
	directory/lookup.c directory/lookup.h \
	directory/publish.c directory/publish.h \
	directory/named.c directory/named.h directory/question.c directory/question.h \
	directory/select.c directory/select.h \
	directory/source.c directory/source.h \
	directory/trustconf.c directory/trustconf.h \
	directory/want.c directory/want.h \
	directory/wants.c directory/wants.h
## The fetcher, apart: of all programs it alone needs libcurl.
noinst_LIBRARIES += libfetch.a
libfetch_a_SOURCES = \
	directory/fetch_addr.c directory/fetch_addr.h \
	directory/fetch_door.c directory/fetch_door.h \
	directory/fetch_folder.c directory/fetch_issuers.c directory/fetch_issuers.h directory/fetch_folder.h \
	directory/fetch_hosts.c directory/fetch_hosts.h \
	directory/fetch_http.c directory/fetch_http.h \
	directory/fetch_job.c directory/fetch_job.h \
	directory/fetch_ldap.c directory/fetch_ldap.h \
	directory/fetch_list.c directory/fetch_list.h directory/fetch_state.c \
	directory/fetch_plan.c directory/fetch_plan.h \
	directory/fetch_settings.c directory/fetch_settings.h \
	directory/fetch_url.c directory/fetch_url.h \
	directory/fetcher.c directory/fetcher.h directory/fetcher_private.h directory/fetcher_wants.c
sbin_PROGRAMS += sealgate-fetcher
sealgate_fetcher_SOURCES = directory/fetcher_main.c
sealgate_fetcher_LDADD = $(SG_LIBS_FETCH)
