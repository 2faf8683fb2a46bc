<?php
// The peer in PHP: the handler of CrossBorderly's guide under php-fpm, with persistent connections. Verify the signature, parse, call the ingest function with
// the one event, answer.
//
// Environment (php-fpm's pool passes it on): SECRET_FILE, INGEST_SQL (a file), INGEST_DSN.
declare(strict_types=1);

// What the sender's words mean: status, phase and rank of the status, detail.
const WORDS = [
    'LABEL_GENERATED' => ['pre_transit', 2, 20, 'label_created'],
    'PICKED_UP' => ['in_transit', 2, 30, 'picked_up'],
    'IN_TRANSIT' => ['in_transit', 2, 30, null],
    'CUSTOMS_PROCESSING' => ['in_transit', 2, 30, 'customs_import'],
    'OUT_FOR_DELIVERY' => ['out_for_delivery', 2, 40, null],
    'DELIVERED' => ['delivered', 3, 90, null],
];
const UNKNOWN = ['unknown', 0, 0, null];

// The first half of a SHA-256 over fields, each behind its length, as a UUID of version 8.
function uuid_of(string ...$fields): string
{
    $text = '';
    foreach ($fields as $field) {
        $text .= pack('J', strlen($field)) . $field;
    }
    $uuid = substr(hash('sha256', $text, true), 0, 16);
    $uuid[6] = chr(ord($uuid[6]) & 0x0f | 0x80);
    $uuid[8] = chr(ord($uuid[8]) & 0x3f | 0x80);
    return $uuid;
}

function bytea(string $bytes): string
{
    return '\\x' . bin2hex($bytes);
}

// The parameters of the ingest statement, in the order of tests/bench/ingest_sql.py.
function parameters(array $event, string $body, string $signature): array
{
    $data = $event['data'];
    $word = $data['newStatus'];
    [$status, $phase, $rank, $detail] = WORDS[$word] ?? UNKNOWN;
    $order = uuid_of('order', 'crossborderly', 'true', $data['trackingNumber']);
    $box = uuid_of('box', $order, $data['trackingNumber']);
    $delivery = uuid_of('delivery', 'crossborderly', 'true', $event['id']);
    $microseconds = (int) (new DateTimeImmutable($data['timestamp']))->format('Uu');
    $at = pack('J', $microseconds ^ PHP_INT_MIN);
    $tail = $delivery . "\0\0\0\0";
    $headers = [
        'Content-Type' => $_SERVER['CONTENT_TYPE'],
        'User-Agent' => $_SERVER['HTTP_USER_AGENT'],
        'X-CrossBorderly-Signature' => $signature,
    ];
    return [
        bytea($body), json_encode($headers), $event['id'], $data['trackingNumber'], $word, $data['previousStatus'], $status, $detail,
        $data['location'], $data['timestamp'],
        bin2hex($delivery), bin2hex($order), bin2hex($box), bin2hex(uuid_of('event', $box, $tail)),
        bytea($at . $tail),
        bytea(chr($phase) . $at . chr($rank) . $word . "\0" . $tail),
        bytea($at . "\x80\0\0\0\0\0\0\0" . $tail),
    ];
}

// A persistent connection keeps its prepared statement, so only the first request of a worker finds none.
function ingest(array $parameters): bool
{
    $connection = pg_pconnect(getenv('INGEST_DSN'));
    if ($connection === false) {
        return false;
    }
    $result = @pg_execute($connection, 'ingest', $parameters);
    if ($result === false) {
        @pg_prepare($connection, 'ingest', file_get_contents(getenv('INGEST_SQL')));
        $result = pg_execute($connection, 'ingest', $parameters);
    }
    return $result !== false;
}

$body = file_get_contents('php://input');
$signature = $_SERVER['HTTP_X_CROSSBORDERLY_SIGNATURE'] ?? '';
$expected = 'sha256=' . hash_hmac('sha256', $body, trim(file_get_contents(getenv('SECRET_FILE'))));
if (!hash_equals($expected, $signature)) {
    http_response_code(401);
    exit('Invalid signature');
}
$event = json_decode($body, true, 512, JSON_THROW_ON_ERROR);
http_response_code(ingest(parameters($event, $body, $signature)) ? 200 : 500);
header('Content-Type: application/json');
echo '{"received":true}';
