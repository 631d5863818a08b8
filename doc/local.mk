## SPDX-License-Identifier: BSD-2-Clause
dist_man_MANS += doc/sealgate.1 doc/sealgate-bulk.7 doc/sealgate-custody.7 doc/sealgate-errors.7 doc/sealgate-fetcher.8 doc/sealgate-ledger.5 doc/sealgate-milter.8 \
	doc/sealgate-notices.7 doc/sealgate-officers.7 doc/sealgate-trust.7 doc/sealgate-vault.8 \
	doc/sealgate.conf.5
EXTRA_DIST += doc/guide.md doc/ledger.md
