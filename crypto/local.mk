## SPDX-License-Identifier: BSD-2-Clause
noinst_LIBRARIES += libcrypto_sg.a
libcrypto_sg_a_SOURCES = \
	crypto/ber.h crypto/cert.h crypto/cms_envelope.h crypto/cms_sign.h crypto/cms_verify.h \
	crypto/digest.h crypto/issue.h crypto/p12.h crypto/pkey.h crypto/smime.h crypto/trust.h \
	crypto/verdict.h

## The certificate half
libcrypto_sg_a_SOURCES += \
	crypto/anchorset.c crypto/anchorset.h crypto/cert_private.h crypto/pkey_private.h crypto/cert.c crypto/cert_cache.c \
	crypto/cert_decode.c crypto/cert_kind.c crypto/cert_use.c crypto/certset.c crypto/issue.c crypto/p12.c crypto/p12_file.c crypto/p12_key.c crypto/p12_mac.c crypto/p12_private.h crypto/p12_write.c crypto/password.c crypto/password.h crypto/pbe.c crypto/path.h crypto/path.c crypto/path_build.h crypto/path_build.c crypto/path_rules.h crypto/path_rules.c crypto/mail_constraints.h crypto/mail_constraints.c crypto/trust_rules.h crypto/trust_rules.c crypto/trustlist.h crypto/trustlist.c crypto/pkey.c crypto/pkey_sign.c crypto/trust.c crypto/effort.h crypto/effort.c \
	crypto/verdict.c

## Names, requests for certificates, chains
libcrypto_sg_a_SOURCES += crypto/certchain.c crypto/certchain.h crypto/csr.c crypto/csr.h crypto/dn.c crypto/dn.h \
	crypto/issue_private.h

## The CMS half
libcrypto_sg_a_SOURCES += crypto/openssl_glue.h crypto/openssl_glue.c crypto/pem.c crypto/pem.h
libcrypto_sg_a_SOURCES += crypto/digest.c crypto/mac.h crypto/mac.c crypto/der.h crypto/der.c
libcrypto_sg_a_SOURCES += crypto/oid.h crypto/oid.c crypto/oids.def crypto/ber.c
libcrypto_sg_a_SOURCES += crypto/cms_sign.c crypto/cms_opaque.c crypto/smime.c
libcrypto_sg_a_SOURCES += crypto/content_cipher.h crypto/content_cipher.c crypto/gcm_late.h crypto/gcm_late.c
libcrypto_sg_a_SOURCES += crypto/ecdh.h crypto/ecdh.c crypto/rinfo.h crypto/rinfo.c crypto/rinfo_write.c
libcrypto_sg_a_SOURCES += crypto/cms_envelope.c crypto/cms_enveloped.c crypto/cms_decrypt.c
libcrypto_sg_a_SOURCES += crypto/signer.h crypto/signer.c crypto/cms_signed.h crypto/cms_signed.c crypto/cms_verify.c
libcrypto_sg_a_SOURCES += crypto/signed_by.h crypto/signed_by.c
libcrypto_sg_a_SOURCES += crypto/smimecaps.h crypto/smimecaps.c crypto/cms_said.h crypto/cms_said.c

## TLS to other servers
libcrypto_sg_a_SOURCES += crypto/tls.h crypto/tls.c

## The organisation's CA.
libcrypto_sg_a_SOURCES += crypto/crl_source.c crypto/crl_source.h crypto/issue_crl.c crypto/issue_ext.c
## Envelopes for a passphrase
libcrypto_sg_a_SOURCES += crypto/kek.h crypto/kek.c

## Revocation
libcrypto_sg_a_SOURCES += crypto/crl.c crypto/crl.h crypto/crl_check.c crypto/crl_decode.c crypto/crl_scope.c crypto/crl_signer.c \
	crypto/name_text.c crypto/name_text.h crypto/ocsp.c crypto/ocsp.h crypto/ocsp_check.c crypto/ocsp_response.c crypto/ocsp_response.h crypto/path_revocation.c crypto/path_revocation.h \
	crypto/serialset.c crypto/serialset.h crypto/signature.c crypto/signature.h \
	crypto/revocation.c crypto/revocation.h crypto/revocation_private.h crypto/revocation_rule.h

## Tokens
libcrypto_sg_a_SOURCES += crypto/cryptoki.h crypto/oaep.c crypto/oaep.h crypto/token.c crypto/token.h crypto/token_key.c crypto/token_key.h crypto/token_process.c \
	crypto/token_channel.c crypto/token_channel.h crypto/token_pin.c crypto/token_pin.h crypto/token_private.h crypto/token_trouble.c crypto/token_trouble.h \
	crypto/token_uri.c crypto/token_uri.h crypto/token_use.c crypto/token_wire.h
libcrypto_sg_a_SOURCES += crypto/smime_value.h crypto/smime_value.c

## Gateways named by a domain
libcrypto_sg_a_SOURCES += crypto/cert_dns.c
## What the fetcher looks at
libcrypto_sg_a_SOURCES += crypto/cert_urls.c crypto/cert_urls.h crypto/fetched.c crypto/fetched.h crypto/fetched_crl.c crypto/ocsp_signer.c crypto/ocsp_signer.h crypto/fetched_ocsp.c crypto/watch.c crypto/watch.h
