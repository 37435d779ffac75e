<?php
// SPDX-License-Identifier: Apache-2.0
// file_get_contents of PHP: a connection for each request. README.md says what a client does.

function header_of(array $lines, string $name): string
{
    foreach ($lines as $line) {
        if (stripos($line, "$name: ") === 0) {
            return substr($line, strlen($name) + 2);
        }
    }
    return "";
}

while (($line = fgets(STDIN)) !== false) {
    [$method, $etag, $application, $environment, $profile] = explode("\t", rtrim($line, "\n"));
    $options = ["method" => $method, "ignore_errors" => true];
    if ($etag !== "") {
        $options["header"] = "If-None-Match: $etag";
    }
    $url = $argv[1] . "/applications/" . rawurlencode($application) . "/environments/"
        . rawurlencode($environment) . "/configurations/" . rawurlencode($profile);
    $body = file_get_contents($url, false, stream_context_create(["http" => $options]));
    $headers = $http_response_header;
    echo implode("\t", [explode(" ", $headers[0])[1], header_of($headers, "ETag"),
        header_of($headers, "Content-Type"), header_of($headers, "Content-Length"),
        base64_encode($body)]), "\n";
}
