#!/usr/bin/perl
# listen.pl PATH COMMAND...: runs COMMAND with a listening Unix socket at PATH as descriptor 3, as systemd does for a service with a socket unit.
#
# The socket outlives every responder that takes it, so while one is replaced, requests wait instead of being refused: lighttpd, for one, leaves a
# backend that has refused a connection alone for more than a second.
use strict;
use warnings;
use Socket;
use POSIX qw(dup2);

# Descriptors up to this one stay open in COMMAND.
$^F = 3;
my $path = shift @ARGV;
unlink $path;
umask 0117;
socket(my $listener, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!\n";
bind($listener, pack_sockaddr_un($path)) or die "$path: $!\n";
listen($listener, 4096) or die "$path: $!\n";
fileno($listener) == 3 or dup2(fileno($listener), 3) or die "dup2: $!\n";
umask 0077;
$ENV{LISTEN_FDS} = 1;
exec @ARGV or die "$ARGV[0]: $!\n";
