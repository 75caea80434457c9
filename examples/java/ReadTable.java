// Read stored tables with Arrow Java, and print what is in them: one line of JSON for each file.
//
//     make build/readers/java/.ready       # Arrow's jars, 6 MB of those that the pyspark package ships
//     java -cp 'build/readers/java/*' --add-opens=java.base/java.nio=ALL-UNNAMED \
//         examples/java/ReadTable.java "$COLONNADE_STORE/nyc/flights.arrow"
//
// Java 17 or newer, which compiles the file as it starts it. With Maven the jars are org.apache.arrow:arrow-vector and
// org.apache.arrow:arrow-memory-netty, with jackson-databind; --add-opens is what Arrow's memory asks of any Java.

import com.fasterxml.jackson.databind.ObjectMapper;
import java.math.BigInteger;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.BaseFixedWidthVector;
import org.apache.arrow.vector.BaseIntVector;
import org.apache.arrow.vector.BitVector;
import org.apache.arrow.vector.DecimalVector;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.FloatingPointVector;
import org.apache.arrow.vector.UInt8Vector;
import org.apache.arrow.vector.VariableWidthFieldVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.complex.LargeListVector;
import org.apache.arrow.vector.complex.ListVector;
import org.apache.arrow.vector.complex.StructVector;
import org.apache.arrow.vector.dictionary.DictionaryEncoder;
import org.apache.arrow.vector.ipc.ArrowFileReader;

class ReadTable {
    /** The nulls of a column, the sum of its numbers and a digest of its strings. */
    record Column(String name, String type, int nulls, String sum, String text) {}

    record Table(int rows, List<Column> columns) {}

    public static void main(String[] paths) throws Exception {
        try (var allocator = new RootAllocator()) {
            for (String path : paths) {
                // Who has the file open keeps it, whatever is put under its name meanwhile.
                try (var file = FileChannel.open(Path.of(path)); var reader = new ArrowFileReader(file, allocator)) {
                    VectorSchemaRoot table = reader.getVectorSchemaRoot();
                    reader.loadNextBatch(); // a stored table is one batch
                    List<Column> columns = new ArrayList<>();
                    for (FieldVector column : table.getFieldVectors()) {
                        columns.add(describe(column, reader));
                    }
                    System.out.println(new ObjectMapper().writeValueAsString(new Table(table.getRowCount(), columns)));
                }
            }
        }
    }

    static Column describe(FieldVector column, ArrowFileReader reader) throws Exception {
        var encoding = column.getField().getDictionary();
        if (encoding == null) {
            return describe(column.getName(), typeOf(column), column);
        }
        try (var values = (FieldVector) DictionaryEncoder.decode(column, reader.lookup(encoding.getId()))) {
            String type = "Dictionary<" + encoding.getIndexType() + ", " + typeOf(values) + ">";
            return describe(column.getName(), type, values);
        }
    }

    static Column describe(String name, String type, FieldVector values) throws Exception {
        var seen = new Seen();
        for (int row = 0; row < values.getValueCount(); row++) {
            seen.add(values, row);
        }
        String text = HexFormat.of().formatHex(seen.text.digest());
        return new Column(name, type, values.getNullCount(), seen.sum(), text);
    }

    /** A field prints as "name: type". */
    static String typeOf(FieldVector vector) {
        return vector.getField().toString().substring(vector.getField().getName().length() + 2);
    }

    /** What stands in a column, and in the lists and structs of it. Times count as the whole numbers that are stored. */
    static class Seen {
        BigInteger whole = BigInteger.ZERO;
        double floats = 0;
        boolean hasFloats = false;
        final MessageDigest text;

        Seen() throws Exception {
            text = MessageDigest.getInstance("SHA-256");
        }

        String sum() {
            return hasFloats ? String.valueOf(floats + whole.doubleValue()) : whole.toString();
        }

        void add(FieldVector vector, int row) {
            if (vector.isNull(row)) {
                return;
            }
            // The classes of decimals are also some of those below them.
            if (vector instanceof DecimalVector decimals) {
                whole = whole.add(decimals.getObject(row).unscaledValue());
            } else if (vector instanceof FloatingPointVector numbers) {
                floats += numbers.getValueAsDouble(row);
                hasFloats = true;
            } else if (vector instanceof UInt8Vector numbers) {
                whole = whole.add(numbers.getObjectNoOverflow(row));
            } else if (vector instanceof BaseIntVector numbers) {
                add(numbers.getValueAsLong(row));
            } else if (vector instanceof BitVector bits) {
                add(bits.get(row));
            } else if (vector instanceof VariableWidthFieldVector strings) {
                text.update((strings.getObject(row) + "\n").getBytes(StandardCharsets.UTF_8));
            } else if (vector instanceof ListVector lists) {
                addItems(lists.getDataVector(), lists.getElementStartIndex(row), lists.getElementEndIndex(row));
            } else if (vector instanceof LargeListVector lists) {
                addItems(lists.getDataVector(), lists.getElementStartIndex(row), lists.getElementEndIndex(row));
            } else if (vector instanceof StructVector struct) {
                struct.getChildrenFromFields().forEach(field -> add(field, row));
            } else if (vector instanceof BaseFixedWidthVector times && times.getTypeWidth() == 4) {
                add(times.getDataBuffer().getInt(row * 4L));
            } else if (vector instanceof BaseFixedWidthVector times && times.getTypeWidth() == 8) {
                add(times.getDataBuffer().getLong(row * 8L));
            } else {
                throw new UnsupportedOperationException(vector.getField() + ": this example does not add these up");
            }
        }

        void add(long number) {
            whole = whole.add(BigInteger.valueOf(number));
        }

        void addItems(FieldVector items, long start, long end) {
            for (long item = start; item < end; item++) {
                add(items, (int) item);
            }
        }
    }
}
