<?php
// SPDX-License-Identifier: Apache-2.0
// The curl extension of PHP, one handle for all. README.md says what a client does.

$curl = curl_init();
curl_setopt($curl, CURLOPT_RETURNTRANSFER, true);
curl_setopt($curl, CURLOPT_HEADERFUNCTION, function ($curl, $line) use (&$headers) {
    if (str_contains($line, ": ")) {
        [$name, $value] = explode(": ", rtrim($line), 2);
        $headers[strtolower($name)] = $value;
    }
    return strlen($line);
});

while (($line = fgets(STDIN)) !== false) {
    [$method, $etag, $application, $environment, $profile] = explode("\t", rtrim($line, "\n"));
    curl_setopt($curl, CURLOPT_URL, $argv[1] . "/applications/" . rawurlencode($application)
        . "/environments/" . rawurlencode($environment)
        . "/configurations/" . rawurlencode($profile));
    curl_setopt($curl, CURLOPT_NOBODY, $method === "HEAD");
    curl_setopt($curl, CURLOPT_CUSTOMREQUEST, $method);
    curl_setopt($curl, CURLOPT_HTTPHEADER, $etag === "" ? [] : ["If-None-Match: $etag"]);
    $headers = [];
    $body = curl_exec($curl);
    echo implode("\t", [curl_getinfo($curl, CURLINFO_RESPONSE_CODE), $headers["etag"] ?? "",
        $headers["content-type"] ?? "", $headers["content-length"] ?? "",
        base64_encode($body)]), "\n";
}
