#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The fetcher with https, by a TLS server whose CA is known, is not known, or that has another's name; and through a proxy.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
[ -x "$builddir/sealgate-fetcher" ] || skip "not built"
fetched=$dir/fetched

# --- CAs, servers' certificates, lists
ca() {
	openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1.key"
	openssl req -x509 -key "$work/$1.key" -sha256 -days 30 -out "$work/$1.pem" -subj "/O=Partner/CN=$1" \
		-addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
}
# server NAME SUBJECTALTNAME
server() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$1.key" -out "$work/$1.csr" -subj "/CN=$1" 2>/dev/null
	printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$2" >"$work/$1.ext"
	openssl x509 -req -in "$work/$1.csr" -CA "$work/web.pem" -CAkey "$work/web.key" -CAcreateserial -days 20 -extfile "$work/$1.ext" \
		-out "$work/$1.pem" 2>/dev/null
}
ca web
ca lists
server good IP:127.0.0.1
server other IP:192.0.2.1
mkdir "$work/www"
: >"$work/index"
echo 01 >"$work/number"
printf '[ca]\ndefault_ca=c\n[c]\ndatabase=%s\ncrlnumber=%s\ndefault_md=sha256\ndefault_crl_days=7\n' "$work/index" "$work/number" >"$work/lists.conf"
new_list() {
	openssl ca -config "$work/lists.conf" -gencrl -keyfile "$work/lists.key" -cert "$work/lists.pem" -out "$work/crl.pem" 2>/dev/null
	openssl crl -in "$work/crl.pem" -outform DER -out "$work/www/a.crl"
}
new_list

# --- servers: openssl's own gives files by TLS
# tls_up NAME: its port in $NAME
tls_up() {
	local number
	number=$(free_port)
	# In the folder that it serves.
	(cd "$work/www" && exec openssl s_server -quiet -WWW -accept "127.0.0.1:$number" -cert "$work/$1.pem" -key "$work/$1.key") \
		>>"$work/$1.log" 2>&1 </dev/null &
	pids="$pids $!"
	wait_for 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$number" || fail "no TLS server"
	eval "$1=$number"
}
tls_up good
tls_up other
mkdir "$work/plain"
start web "$builddir/webserver" "$work/plain"
wait_for 10 test -s "$work/plain/port" || fail "the HTTP server did not start"
plain=$(cat "$work/plain/port")

# A proxy that says what it was asked for; one connection at a time.
cat >"$work/proxy.pl" <<'END'
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
$SIG{PIPE} = 'IGNORE';
my ($port, $log) = @ARGV;
my $listen = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1) or die "listen: $!\n";
while (my $client = $listen->accept) {
	my ($head, $c) = ('');
	while ($head !~ /\r\n\r\n\z/ && sysread $client, $c, 1) { $head .= $c }
	$head =~ m{^(CONNECT) ([\d.]+:\d+) |^(GET) http://([\d.]+:\d+)(/\S*) } or next;
	my $to = IO::Socket::INET->new(PeerAddr => $2 // $4) or next;
	open my $out, '>>', $log or die;
	print $out defined $1 ? "$1 $2\n" : "$3 $4$5\n";
	close $out;
	if (defined $1) { syswrite $client, "HTTP/1.1 200 Connected\r\n\r\n" }
	else { syswrite $to, "GET $5 HTTP/1.0\r\nHost: $4\r\n\r\n" }
	my $select = IO::Select->new($client, $to);
	PAIR: while (my @ready = $select->can_read(20)) {
		for my $from (@ready) {
			sysread($from, my $data, 65536) or last PAIR;
			syswrite $from == $client ? $to : $client, $data;
		}
	}
}
END

made_gate
sed -i "/^fetch = {/d" "$conf"
cp "$conf" "$work/conf.begin"
# configure LINE: what the section has beside the rest
configure() {
	cp "$work/conf.begin" "$conf"
	cat >>"$conf" <<-END
		fetch = {
			user = "$(id -un)"; dir = "$fetched"; socket = "$dir/run/fetch.sock"; allow_private = true; retry = 1; retry_max = 1; connect_timeout = "3s";
			ports = ( "$good", "$other", "$plain" ); $1
		};
	END
}
reload() {
	local before
	before=$(grep -c event=reloaded "$work/fetcher.log")
	kill -USR1 "$fetcher"
	wait_for 10 bash -c "[ \$(grep -c event=reloaded '$work/fetcher.log') -gt $before ]" || fail "no reload: $(tail -n 2 "$work/fetcher.log")"
}
# gets STATUS WHAT URL
gets() {
	gate fetch add crl "$3"
	gate fetch now --wait 20 "$3" >/dev/null
	want "$2" $? "$1"
}
why() {
	gate fetch list --failing | grep -F -A 4 "$1"
}

# --- nobody knows the server's CA
configure ""
start fetcher "$builddir/sealgate-fetcher" -c "$conf" -f
fetcher=$pid
wait_for 10 gate fetch status || fail "the fetcher does not answer"
gets 65 "an unknown CA" "https://127.0.0.1:$good/a.crl"
match "an unknown CA: the reason" "$(why "$good")" 'certificate'
want "an unknown CA: nothing is kept" "$(ls "$fetched/crl" 2>/dev/null | wc -l)" 0

# --- its CA is known
configure "ca_file = \"$work/web.pem\";"
reload
gets 0 "https" "https://127.0.0.1:$good/a.crl"
cmp -s "$work/www/a.crl" "$fetched/crl"/*.crl || fail "https: another list"
gets 65 "another's name" "https://127.0.0.1:$other/a.crl"
match "another's name: the reason" "$(why "$other")" 'name|match|certificate'
gets 65 "no TLS there" "https://127.0.0.1:$plain/file/a.crl"
want "one list" "$(ls "$fetched/crl" | wc -l)" 1

# --- its CA is not known any more: the last good list stays
configure "ca_file = \"$work/lists.pem\";"
reload
cp "$work/www/a.crl" "$work/first.crl"
new_list
gets 65 "a CA that is known no more" "https://127.0.0.1:$good/a.crl"
cmp -s "$work/first.crl" "$fetched/crl"/*.crl || fail "the last good list is gone"

# --- through a proxy
proxy=$(free_port)
cp "$work/www/a.crl" "$work/plain/a.crl"
configure "ca_file = \"$work/web.pem\"; proxy = \"http://127.0.0.1:$proxy\";"
reload
gets 65 "no proxy there" "https://127.0.0.1:$good/a.crl"
cmp -s "$work/first.crl" "$fetched/crl"/*.crl || fail "it went past the proxy"
start proxy perl "$work/proxy.pl" "$proxy" "$work/proxied"
wait_for 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$proxy" || fail "no proxy"
gets 0 "https through the proxy" "https://127.0.0.1:$good/a.crl"
want "https: a tunnel" "$(grep -c "^CONNECT 127.0.0.1:$good\$" "$work/proxied")" 1
cmp -s "$work/www/a.crl" "$fetched/crl"/*.crl || fail "through the proxy: another list"
gets 0 "http through the proxy" "http://127.0.0.1:$plain/file/a.crl"
want "http: asked for" "$(grep GET "$work/proxied" | tail -n 1)" "GET 127.0.0.1:$plain/file/a.crl"
gets 65 "another's name, through the proxy" "https://127.0.0.1:$other/a.crl"
gate fetch add crl "https://127.0.0.1:1/a.crl"
want "a port that is not in fetch.ports" $? 65
mismatch "nobody asked the proxy for it" "$(cat "$work/proxied")" ':1$'
stop "$fetcher"
want "stopped" "$status" 0
finish
