# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# NSS as a peer, by cmsutil; once with the system's libraries, once with those that Thunderbird brings (contrib/deps thunderbird).

# nss_store LIBRARIES: the keys and the anchor
nss_store() {
	local who
	mkdir "$work/nss${1:+-tb}" || return 1
	export LD_LIBRARY_PATH=$1
	certutil -N -d "sql:$work/nss${1:+-tb}" --empty-password || return 1
	certutil -A -d "sql:$work/nss${1:+-tb}" -n CA -t ,C, -i people/ca.pem || return 1
	for who in $partners; do # Ed25519 and X25519: it says no
		pk12util -i "people/p-$who.p12" -d "sql:$work/nss${1:+-tb}" -W x -K "" || :
	done
	for who in $staff; do
		certutil -A -d "sql:$work/nss${1:+-tb}" -n "s-$who" -t ,, -i "people/s-$who.pem" || :
	done
} >&2

nss_up() {
	command -v cmsutil >/dev/null || return 1
	(nss_store "") || return 1
	dpkg-query -W -f '${Version}' libnss3 2>/dev/null | sed 's/^[0-9]*://; s/-.*//'
}

tbnss_up() {
	command -v cmsutil >/dev/null && [ -f "$thunderbird/libsmime3.so" ] || return 1
	(nss_store "$thunderbird") || return 1
	# The version stands in the library, as text of its own.
	LC_ALL=C tr -c '[:print:]' '\n' <"$thunderbird/libnss3.so" | grep -xE '3\.[0-9]+(\.[0-9]+)?' | head -n 1
}

nss_run() {
	cmsutil "$1" -d "sql:$work/nss$nss_which" "${@:2}"
}

nss_make_with() {
	local out=$1 from=$2 to=$3 cur=$4 step kind how more names n=0 name form
	shift 4
	for step; do
		IFS== read -r kind how more names <<<"$step"
		n=$((n + 1))
		if [ "$kind" = encrypt ]; then
			# cmsutil takes the cipher itself, from what the recipients' keys are: AES-128 without any more knowledge.
			case "$how=$more" in
			aes128=v15 | any=v15 | aes128=ecdh-sha256) ;;
			*) return 1 ;;
			esac
			nss_run -E -r "$names" -i "$cur" -o "$out.cms" || return 1
			form=enveloped
		else
			case "$how" in
			sha256 | sha384 | sha512) how=SHA${how#sha} ;;
			ber) how=SHA256 ;;
			*) return 1 ;;
			esac
			name=$more form=$kind
			case "$name" in *,*) return 1 ;; esac
			if [ "$kind" = clear ]; then
				nss_run -S -T -G -P -H "$how" -N "$name" -i "$cur" -o "$out.cms" || return 1
			else
				nss_run -S -G -P -H "$how" -N "$name" -i "$cur" -o "$out.cms" || return 1
			fi
		fi
		"$parts" wrap "$form" "$out.cms" "$cur" >"$out.$n" || return 1
		cur=$out.$n
	done
	"$parts" message "$from" "$to" "$cur" >"$out"
}

# Without -n and -h: with either of them it is silent about a bad signature.
nss_read_with() {
	local cur=$1 layers=$3 out=$4 n=0 kind
	while [ $n -lt "$layers" ]; do
		kind=$("$parts" split "$cur" .) || return 1
		n=$((n + 1))
		case "$kind" in
		clear)
			nss_run -D -i cms -c content -o "$out.$n" || return 1
			cp content "$out.$n"
			;;
		opaque | enveloped) nss_run -D -i cms -o "$out.$n" || return 1 ;;
		*) return 1 ;;
		esac
		cur=$out.$n
	done
	mv "$cur" "$out"
}

nss_make() { nss_which='' LD_LIBRARY_PATH='' nss_make_with "$@"; }
nss_read() { nss_which='' LD_LIBRARY_PATH='' nss_read_with "$@"; }
tbnss_make() { nss_which=-tb LD_LIBRARY_PATH=$thunderbird nss_make_with "$@"; }
tbnss_read() { nss_which=-tb LD_LIBRARY_PATH=$thunderbird nss_read_with "$@"; }
