## SPDX-License-Identifier: BSD-2-Clause
dist_noinst_SCRIPTS += contrib/deps contrib/quickstart contrib/systemd/install
dist_noinst_DATA += \
	contrib/openldap/sealgate.ldif \
	contrib/postfix/hop/main.cf \
	contrib/postfix/hop/master.cf \
	contrib/postfix/hop/sealgate.conf \
	contrib/postfix/main.cf \
	contrib/postfix/master.cf \
	contrib/sendmail/sealgate.mc contrib/sendmail/hop/front.mc contrib/sendmail/hop/back.mc \
	contrib/systemd/sealgate-anchor.service \
	contrib/systemd/sealgate-anchor.timer \
	contrib/systemd/sealgate-fetcher.service \
	contrib/systemd/sealgate-milter.service \
	contrib/systemd/sealgate-person-sync.service contrib/systemd/sealgate-person-sync.timer \
	contrib/systemd/sealgate-vault.service

## Maps of services' forms; found there by their names.
bulkdir = $(pkgdatadir)/bulk
dist_bulk_DATA = contrib/bulk/upki-issue.conf contrib/bulk/upki-renew.conf contrib/bulk/upki-revoke.conf \
	contrib/bulk/upki-status.conf

## The organisation's CA, by timer.
dist_noinst_DATA += contrib/systemd/sealgate-crl.service contrib/systemd/sealgate-crl.timer \
	contrib/systemd/sealgate-renew.service contrib/systemd/sealgate-renew.timer \
	contrib/systemd/sealgate-publish.service contrib/systemd/sealgate-publish.timer \
	contrib/systemd/sealgate-expiring.service contrib/systemd/sealgate-expiring.timer

## Texts about the custody of keys, to be adapted.
custody_endir = $(docdir)/custody/en
dist_custody_en_DATA = contrib/custody/en/README.md contrib/custody/en/notice.md contrib/custody/en/agreement.md \
	contrib/custody/en/record.md contrib/custody/en/ceremony.md contrib/custody/en/restore-drill.md contrib/custody/en/leaver.md
custody_dedir = $(docdir)/custody/de
dist_custody_de_DATA = contrib/custody/de/README.md contrib/custody/de/notice.md contrib/custody/de/agreement.md \
	contrib/custody/de/record.md contrib/custody/de/ceremony.md contrib/custody/de/restore-drill.md contrib/custody/de/leaver.md
custody_jadir = $(docdir)/custody/ja
dist_custody_ja_DATA = contrib/custody/ja/README.md contrib/custody/ja/notice.md contrib/custody/ja/agreement.md \
	contrib/custody/ja/record.md contrib/custody/ja/ceremony.md contrib/custody/ja/restore-drill.md contrib/custody/ja/leaver.md
