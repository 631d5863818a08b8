# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# gpgsm as a peer. Its exit status says little: a good signature is GOODSIG and TRUST_FULLY among its status lines.

# gpgsm_key WHO: the private key. gpgsm 2.2 dies of files with keys of curves, and now and then of one with an RSA key,
# whose salts it does not like: another file with the same key will do.
gpgsm_key() {
	local try
	case "$1" in rsa*) ;; *) return 1 ;; esac
	for try in 1 2 3 4 5 6; do
		openssl pkcs12 -export -legacy -inkey "people/$1.key" -in "people/p-$1.pem" -certfile people/ca.pem -passout pass:x \
			-out gpgsm.p12 2>/dev/null ||
			openssl pkcs12 -export -inkey "people/$1.key" -in "people/p-$1.pem" -certfile people/ca.pem -passout pass:x -out gpgsm.p12
		echo x | gpgsm --import gpgsm.p12
		echo | gpgsm --with-colons --list-secret-keys "$(gpgsm_id "p-$1")" | grep -q '^crs:' && return 0
		echo "gpgsm: $1 once more ($try)"
	done
	return 1
}

gpgsm_up() {
	local who
	command -v gpgsm >/dev/null || return 1
	export GNUPGHOME=$work/gnupg
	mkdir -m 700 "$GNUPGHOME" || return 1
	printf 'disable-crl-checks\nno-secmem-warning\nbatch\ndisable-dirmngr\npinentry-mode loopback\npassphrase-fd 0\n' >"$GNUPGHOME/gpgsm.conf"
	printf 'allow-loopback-pinentry\n' >"$GNUPGHOME/gpg-agent.conf"
	openssl x509 -in people/ca.pem -noout -fingerprint -sha1 | sed 's/.*=//; s/$/ S relax/' >"$GNUPGHOME/trustlist.txt"
	{
		echo | gpgsm --import people/ca.pem
		for who in $partners; do
			echo | gpgsm --import "people/p-$who.pem"
			gpgsm_key "$who" || echo "gpgsm does not take the key of $who"
		done
		for who in $staff; do
			echo | gpgsm --import "people/s-$who.pem"
		done
	} >&2
	gpgsm --version </dev/null | sed -n '1s/.* //p'
}

gpgsm_down() {
	gpgconf --homedir "$work/gnupg" --kill all
}

# Fingerprints, since names are not unique there
gpgsm_id() {
	openssl x509 -in "people/$1.pem" -noout -fingerprint -sha1 | sed 's/.*=//; s/://g'
}

gpgsm_make() {
	local out=$1 from=$2 to=$3 cur=$4 step kind how more names name args n=0 form
	shift 4
	for step; do
		IFS== read -r kind how more names <<<"$step"
		n=$((n + 1)) args=() form=$kind
		if [ "$kind" = encrypt ]; then
			case "$how=$more" in
			3des=v15) args=(--cipher-algo 3DES) ;;
			aes128=v15) args=(--cipher-algo AES) ;;
			aes256=v15 | any=v15) args=(--cipher-algo AES256) ;;
			aes256=ecdh-*) args=(--cipher-algo AES256) ;;
			*) return 1 ;;
			esac
			for name in ${names//,/ }; do
				args+=(--recipient "$(gpgsm_id "$name")")
			done
			form=enveloped
			echo x | gpgsm "${args[@]}" --yes --output "$out.cms" --encrypt "$cur" || return 1
		else
			case "$how" in
			sha256 | sha384 | sha512) args=(--digest-algo "${how^^}") ;;
			ber) ;;
			*) return 1 ;;
			esac
			for name in ${more//,/ }; do
				args+=(--local-user "$(gpgsm_id "$name")")
			done
			[ "$kind" = clear ] && args+=(--detach-sign) || args+=(--sign)
			echo x | gpgsm --yes --output "$out.cms" "${args[@]}" "$cur" || return 1
		fi
		[ -s "$out.cms" ] || return 1
		"$parts" wrap "$form" "$out.cms" "$cur" >"$out.$n" || return 1
		rm -f "$out.cms"
		cur=$out.$n
	done
	"$parts" message "$from" "$to" "$cur" >"$out"
}

gpgsm_good() {
	grep -q '^\[GNUPG:\] GOODSIG' status && grep -q '^\[GNUPG:\] TRUST_\(FULLY\|ULTIMATE\)' status &&
		! grep -q '^\[GNUPG:\] \(BADSIG\|ERRSIG\)' status
}

gpgsm_read() {
	local cur=$1 layers=$3 out=$4 n=0 kind
	while [ $n -lt "$layers" ]; do
		kind=$("$parts" split "$cur" .) || return 1
		n=$((n + 1))
		case "$kind" in
		clear)
			echo x | gpgsm --status-fd 1 --verify cms content >status
			gpgsm_good || return 1
			cp content "$out.$n"
			;;
		opaque)
			echo x | gpgsm --status-fd 1 --yes --output "$out.$n" --verify cms >status
			gpgsm_good || return 1
			;;
		enveloped) echo x | gpgsm --yes --output "$out.$n" --decrypt cms || return 1 ;;
		*) return 1 ;;
		esac
		cur=$out.$n
	done
	[ -s "$cur" ] && mv "$cur" "$out"
}
