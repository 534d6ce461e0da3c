"""Perl's Net::POP3 against the service."""

import pytest

from support.clients import ClientHome, LifelikeMaildrop, Way, files_in, lack, require
from support.lifelike_mail import first_difference
from support.pop3_process import PASSWORD

SCRIPT = """
use strict; use warnings; use Net::POP3;
my ($host, $port, $username, $password, $folder, $security, $ca_file, $deletes) = @ARGV;
my %trust = (SSL_ca_file => $ca_file, SSL_verifycn_name => $host);
my $pop = Net::POP3->new($host, Port => $port, Timeout => 20, SSL => $security eq 'pop3s', %trust)
    or die "no connection: $@";
$security ne 'stls' or $pop->starttls(%trust) or die 'no STLS: ' . $pop->message;
my $count = $pop->login($username, $password) or die 'no login: ' . $pop->message;
my ($messages) = $pop->popstat;
my ($octets, $unique_ids) = ($pop->list, $pop->uidl);
$messages == $count && keys(%$octets) == $count && keys(%$unique_ids) == $count or die 'counts differ';
for my $number (1 .. $count) {
    my $lines = $pop->get($number) or die "message $number: " . $pop->message;
    # In plain text the module gives each line with LF for the wire's CRLF, over TLS with the CRLF itself.
    s/\\r?\\n\\z/\\n/ for @$lines;
    my $message = join '', @$lines;
    length($message) + @$lines == $octets->{$number} or die "message $number has other octets than listed";
    open my $file, '>:raw', sprintf '%s/%03d', $folder, $number or die $!;
    print $file $message;
    close $file or die $!;
    $pop->delete($number) or die $pop->message if $deletes;
}
$pop->quit or die 'not ended: ' . $pop->message;
"""


def fetch(home: ClientHome, maildrop: LifelikeMaildrop, way: Way, *, deletes: bool) -> list[bytes]:
    """Run the script; return what it stored, in the order of the numbers."""
    folder = home.make_folder("stored")
    host, port = way.address(maildrop.service)
    script = home.write("fetch.pl", SCRIPT)
    arguments = [host, str(port), maildrop.username, PASSWORD, str(folder), way.value, str(home.ca_file)]
    done = home.run("perl", script, *arguments, "1" if deletes else "")
    assert done.returncode == 0, done.stdout[-2000:]
    return files_in(folder)


@pytest.fixture(params=Way)
def way(request: pytest.FixtureRequest, home: ClientHome) -> Way:
    """Give a way that this Perl can go: both modules are packed apart from the program."""
    require("perl")
    way: Way = request.param
    if home.run("perl", "-MNet::POP3", "-e", "1").returncode:
        lack("Perl's Net::POP3 (Debian: perl)")
    if way is not Way.PLAIN and home.run("perl", "-MIO::Socket::SSL", "-e", "1").returncode:
        lack("Perl's IO::Socket::SSL (Debian: libio-socket-ssl-perl)")
    return way


def test_net_pop3_stores_lifelike_messages_exactly(
    way: Way, maildrop: LifelikeMaildrop, home: ClientHome
) -> None:
    assert first_difference(fetch(home, maildrop, way, deletes=False), in_order=True) == ""
    maildrop.expect_kept()


def test_net_pop3_fetches_lifelike_messages_and_deletes_them(
    way: Way, maildrop: LifelikeMaildrop, home: ClientHome
) -> None:
    assert first_difference(fetch(home, maildrop, way, deletes=True), in_order=True) == ""
    maildrop.expect_removed()
