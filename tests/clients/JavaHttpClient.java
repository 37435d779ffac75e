// SPDX-License-Identifier: Apache-2.0

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Base64;

/**
 * java.net.http.HttpClient; with HTTP_1_1 as a second argument it does not offer HTTP/2, as it does
 * by default. README.md says what a client does.
 */
class JavaHttpClient {
    static String encode(String name) {
        return URLEncoder.encode(name, UTF_8).replace("+", "%20");
    }

    static HttpRequest request(String base, String[] fields) {
        String target = base + "/applications/" + encode(fields[2]) + "/environments/"
            + encode(fields[3]) + "/configurations/" + encode(fields[4]);
        HttpRequest.Builder builder = HttpRequest.newBuilder(URI.create(target));
        if (fields[0].equals("GET")) {
            builder.GET();
        } else {
            builder.method(fields[0], BodyPublishers.noBody());
        }
        return fields[1].isEmpty() ? builder.build()
                                   : builder.header("If-None-Match", fields[1]).build();
    }

    static String header(HttpResponse<byte[]> response, String name) {
        return response.headers().firstValue(name).orElse("");
    }

    public static void main(String[] arguments) throws Exception {
        HttpClient.Builder builder = HttpClient.newBuilder();
        if (arguments.length > 1) {
            builder.version(HttpClient.Version.valueOf(arguments[1]));
        }
        HttpClient client = builder.build();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            HttpRequest request = request(arguments[0], line.split("\t", -1));
            HttpResponse<byte[]> response = client.send(request, BodyHandlers.ofByteArray());
            System.out.println(String.join("\t", Integer.toString(response.statusCode()),
                header(response, "ETag"), header(response, "Content-Type"),
                header(response, "Content-Length"),
                Base64.getEncoder().encodeToString(response.body())));
        }
    }
}
