# A strict reader of Prometheus' text format 0.0.4. Prints each series as "name{labels} value" and complains about
# everything that a scraper might take otherwise than it was meant; then it exits with 1.
function complain(what) { print FILENAME ":" FNR ": " what ": " $0 >"/dev/stderr"; faults++ }

# The labels of `text` into names[1…], values[1…]; their number, −1 when malformed.
function read_labels(text,    n, name, value, at, c) {
    n = 0
    if (text == "") return 0
    if (text !~ /^\{.*\}$/) return -1
    text = substr(text, 2, length(text) - 2)
    while (text != "") {
        if (!match(text, /^[a-zA-Z_][a-zA-Z0-9_]*="/)) return -1
        name = substr(text, 1, RLENGTH - 2)
        text = substr(text, RLENGTH + 1)
        value = ""
        for (at = 1; (c = substr(text, at, 1)) != "\""; at++) {
            if (c == "") return -1
            if (c == "\\") { at++; c = substr(text, at, 1); if (c !~ /[\\n"]/) return -1; if (c == "n") c = "\n" }
            value = value c
        }
        names[++n] = name; values[n] = value
        text = substr(text, at + 1)
        if (text == "") return n
        if (substr(text, 1, 1) != ",") return -1
        text = substr(text, 2)
        if (text == "") return -1
    }
    return n
}

function end_histogram() {
    if (open_series == "") return
    if (last_bound != "+Inf") complain("the last bucket of " open_series " is not +Inf")
    if (sums[open_series] == "" || counts[open_series] == "") complain("no sum or count of " open_series)
    if (counts[open_series] != last_count) complain("the count of " open_series " is not its last bucket's")
    open_series = ""
}

/^# HELP / {
    end_histogram()
    if ($3 in helps) complain("a second HELP")
    if ($3 !~ /^[a-z][a-z0-9_]*$/) complain("a strange name")
    if (NF < 4) complain("HELP says nothing")
    helps[$3] = 1; family = $3; type = ""
    next
}
/^# TYPE / {
    if ($3 != family || type != "" || NF != 4) complain("TYPE does not follow its HELP")
    type = $4
    if (type !~ /^(counter|gauge|histogram)$/) complain("a strange type")
    if ((type == "counter") != (family ~ /_total$/)) complain("counters, and only they, end in _total")
    if (family ~ /_(ms|milliseconds|minutes|kb|kib|mb|mib)(_|$)/) complain("not a base unit")
    next
}
/^#/ || /^$/ { complain("neither a series nor HELP nor TYPE"); next }
{
    if (!match($0, /^[a-z_][a-z0-9_]*/)) { complain("no name"); next }
    name = substr($0, 1, RLENGTH); rest = substr($0, RLENGTH + 1)
    value = rest; sub(/^.* /, "", value)
    labels = substr(rest, 1, length(rest) - length(value) - 1)
    if (rest !~ / / || value !~ /^(-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?|NaN|[-+]Inf)$/) complain("no number")
    count = read_labels(labels)
    if (count < 0) complain("malformed labels")
    if ((name labels) in seen) complain("a second time")
    seen[name labels] = 1
    base = name
    if (type == "histogram") sub(/_(bucket|sum|count)$/, "", base)
    if (base != family || type == "") complain("not of the family " family)
    if (type == "counter" && value + 0 < 0) complain("a negative counter")
    if (type == "histogram") {
        if (name == base) complain("a histogram has no such series")
        others = labels
        if (name ~ /_bucket$/) {
            if (names[count] != "le") complain("a bucket without le")
            bound = values[count]
            sub(/,?le="[^"]*"\}$/, "}", others); if (others == "{}") others = ""
            if (base others != open_series) { end_histogram(); open_series = base others; last_bound = ""; last_count = 0 }
            if (last_bound == "+Inf" || (last_bound != "" && bound != "+Inf" && bound + 0 <= last_bound + 0)) complain("bounds do not ascend")
            if (value + 0 < last_count) complain("buckets are not cumulative")
            last_bound = bound; last_count = value + 0
        } else if (name ~ /_sum$/) sums[base others] = value
        else counts[base others] = value + 0
    }
    print name labels, value
}
END { end_histogram(); exit faults > 0 }
