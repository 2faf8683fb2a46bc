<?php
// PHP under php-fpm, with persistent connections: POST /webhooks/crossborderly stores an event. A persistent connection keeps its prepared statements, so only
// the first request of a process prepares them.
//
// Environment (php-fpm's pool passes it on): SECRET_FILE, PEER_DSN.
declare(strict_types=1);

const STATEMENTS = [
    'event' => 'INSERT INTO webhook_events (event_id, event_type) VALUES ($1, $2) ON CONFLICT (event_id) DO NOTHING',
    'order' => 'INSERT INTO orders (order_number, status, updated_at) VALUES ($1, $2, $3)
        ON CONFLICT (order_number) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at',
    'box' => 'INSERT INTO boxes (tracking_number, order_number, status, location, updated_at) VALUES ($1, $1, $2, $3, $4)
        ON CONFLICT (tracking_number) DO UPDATE SET status = excluded.status, location = excluded.location, updated_at = excluded.updated_at',
    'history' => 'INSERT INTO tracking_history (tracking_number, occurred_at, status, location) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING',
];

class NotPrepared extends RuntimeException
{
}

function prepare(PgSql\Connection $connection): void
{
    foreach (STATEMENTS as $name => $text) {
        pg_prepare($connection, $name, $text);
    }
}

function execute(PgSql\Connection $connection, string $name, array $parameters): PgSql\Result
{
    $result = @pg_execute($connection, $name, $parameters);
    if ($result === false) {
        $message = pg_last_error($connection);
        throw str_contains($message, "prepared statement \"$name\" does not exist") ? new NotPrepared($message) : new RuntimeException($message);
    }
    return $result;
}

// One event, one transaction, four statements. An event that is known already changes nothing.
function store(PgSql\Connection $connection, array $event): void
{
    ['trackingNumber' => $number, 'newStatus' => $status, 'timestamp' => $at, 'location' => $location] = $event['data'];
    pg_query($connection, 'BEGIN');
    try {
        if (pg_affected_rows(execute($connection, 'event', [$event['id'], $event['event']])) > 0) {
            execute($connection, 'order', [$number, $status, $at]);
            execute($connection, 'box', [$number, $status, $location, $at]);
            execute($connection, 'history', [$number, $at, $status, $location]);
        }
        pg_query($connection, 'COMMIT');
    } catch (RuntimeException $failure) {
        pg_query($connection, 'ROLLBACK');
        throw $failure;
    }
}

$body = file_get_contents('php://input');
$signature = $_SERVER['HTTP_X_CROSSBORDERLY_SIGNATURE'] ?? '';
$expected = 'sha256=' . hash_hmac('sha256', $body, trim(file_get_contents(getenv('SECRET_FILE'))));
if (!hash_equals($expected, $signature)) {
    http_response_code(401);
    exit('Invalid signature');
}
$event = json_decode($body, true, 512, JSON_THROW_ON_ERROR);
$connection = pg_pconnect(getenv('PEER_DSN'));
if ($connection === false) {
    throw new RuntimeException('no connection');
}
try {
    store($connection, $event);
} catch (NotPrepared) {
    prepare($connection);
    store($connection, $event);
}
header('Content-Type: application/json');
echo '{"received":true}';
