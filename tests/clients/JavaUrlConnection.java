// SPDX-License-Identifier: Apache-2.0

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.URL;
import java.net.URLEncoder;
import java.util.Base64;

/** java.net.HttpURLConnection. README.md says what a client does. */
class JavaUrlConnection {
    static String encode(String name) {
        return URLEncoder.encode(name, UTF_8).replace("+", "%20");
    }

    static byte[] body(HttpURLConnection connection) throws IOException {
        boolean isError = connection.getResponseCode() >= 400;
        try (InputStream in = isError ? connection.getErrorStream() : connection.getInputStream()) {
            return in == null ? new byte[0] : in.readAllBytes();
        }
    }

    static String header(HttpURLConnection connection, String name) {
        String value = connection.getHeaderField(name);
        return value == null ? "" : value;
    }

    public static void main(String[] arguments) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] fields = line.split("\t", -1);
            URL target = new URL(arguments[0] + "/applications/" + encode(fields[2])
                + "/environments/" + encode(fields[3]) + "/configurations/" + encode(fields[4]));
            HttpURLConnection connection = (HttpURLConnection) target.openConnection();
            connection.setRequestMethod(fields[0]);
            if (!fields[1].isEmpty()) {
                connection.setRequestProperty("If-None-Match", fields[1]);
            }
            byte[] body = body(connection);
            System.out.println(String.join("\t", Integer.toString(connection.getResponseCode()),
                header(connection, "ETag"), header(connection, "Content-Type"),
                header(connection, "Content-Length"), Base64.getEncoder().encodeToString(body)));
        }
    }
}
