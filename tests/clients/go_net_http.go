// SPDX-License-Identifier: Apache-2.0

// net/http of Go. README.md says what a client does.
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
)

func ask(base, method, etag string, names []string) error {
	path := fmt.Sprintf("/applications/%s/environments/%s/configurations/%s",
		url.PathEscape(names[0]), url.PathEscape(names[1]), url.PathEscape(names[2]))
	request, err := http.NewRequest(method, base+path, nil)
	if err != nil {
		return err
	}
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	header := response.Header.Get
	_, err = fmt.Printf("%d\t%s\t%s\t%s\t%s\n", response.StatusCode, header("ETag"),
		header("Content-Type"), header("Content-Length"), base64.StdEncoding.EncodeToString(body))
	return err
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if err := ask(os.Args[1], fields[0], fields[1], fields[2:]); err != nil {
			log.Fatal(err)
		}
	}
}
