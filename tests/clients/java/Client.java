import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.EventsApi;
import org.openapitools.client.api.JobOrdersApi;
import org.openapitools.client.api.SubscriptionsApi;
import org.openapitools.client.model.Company;
import org.openapitools.client.model.Consultant;
import org.openapitools.client.model.CursorBody;
import org.openapitools.client.model.EmploymentType;
import org.openapitools.client.model.Event;
import org.openapitools.client.model.FilterBody;
import org.openapitools.client.model.JobOrder;
import org.openapitools.client.model.JobOrderEvent;
import org.openapitools.client.model.JobOrderForwarded;
import org.openapitools.client.model.JobOrderItem;
import org.openapitools.client.model.NewSubscription;
import org.openapitools.client.model.Occupation;
import org.openapitools.client.model.Problem;
import org.openapitools.client.model.ProblemErrorsInner;
import org.openapitools.client.model.PullAnswer;
import org.openapitools.client.model.Sharing;
import org.openapitools.client.model.SubscriptionAnswer;
import org.openapitools.client.model.Workplace;

/**
 * A system of its own, written against a library that was generated from /openapi.json.
 *
 * <p>Struer publishes a job order; Herning sees it, subscribes, pulls and commits; and a refused event is told from
 * others by its problem's type. What was seen is printed as JSON, one line.
 */
public final class Client {
    private static final OffsetDateTime TIME = OffsetDateTime.parse("2026-11-16T08:15:00+01:00");
    private static final int TRIES = 100;

    private final ApiClient struer = client("STRUER_TOKEN");
    private final ApiClient herning = client("HERNING_TOKEN");
    private final EventsApi events = new EventsApi(struer);

    public static void main(String[] arguments) throws Exception {
        System.out.println(ApiClient.createDefaultObjectMapper().writeValueAsString(new Client().story()));
    }

    private static ApiClient client(String token) {
        String authorization = "Bearer " + wanted(token);
        ApiClient made = new ApiClient();
        made.updateBaseUri(wanted("KOMMUNEBRO_TO"));
        made.setReadTimeout(Duration.ofSeconds(30));
        made.setRequestInterceptor(request -> request.header("Authorization", authorization));
        return made;
    }

    private static String wanted(String name) {
        String value = System.getenv(name);
        if (value == null) {
            throw new IllegalStateException(name + " is missing");
        }
        return value;
    }

    private Map<String, Object> story() throws Exception {
        Map<String, Object> told = new LinkedHashMap<>();
        told.put("published", publish(event("java-1001-1", order(3))));
        told.put("again", publish(event("java-1001-1", order(3))));
        told.put("seen", seenByHerning().getData().getTitle());
        SubscriptionsApi subscriptions = new SubscriptionsApi(herning);
        NewSubscription wish = new NewSubscription()
                .name("Klejnsmede")
                .types(List.of(NewSubscription.TypesEnum.fromValue("dk.kommunebro.job-order")))
                .filter(new FilterBody().owner(List.of("0671")))
                .start("earliest");
        String id = subscriptions
                .makeSubscription(SubscriptionsApi.APIMakeSubscriptionRequest.newBuilder().newSubscription(wish).build())
                .getId();
        PullAnswer page = subscriptions.pullEvents(SubscriptionsApi.APIPullEventsRequest.newBuilder()
                .subscriptionId(id)
                .waitSeconds(java.math.BigDecimal.valueOf(5))
                .build());
        JobOrderForwarded first = page.getEvents().get(0).getJobOrderForwarded();
        told.put("pulled",
                List.of(first.getAlliance(), first.getData().getJobOrderId(), first.getData().getPositions()));
        SubscriptionAnswer moved = subscriptions.moveCursor(SubscriptionsApi.APIMoveCursorRequest.newBuilder()
                .subscriptionId(id)
                .cursorBody(new CursorBody().cursor(page.getCursor()))
                .build());
        told.put("left", moved.getLag().getEvents());
        told.put("refused", adviceFor(event("java-1002-1", order(0))));
        told.put("conflict", adviceFor(event("java-1001-1", order(4))));
        return told;
    }

    private int publish(JobOrderEvent event) throws ApiException {
        return events.publishEventsWithHttpInfo(
                        EventsApi.APIPublishEventsRequest.newBuilder().event(new Event(event)).build())
                .getStatusCode();
    }

    private JobOrderItem seenByHerning() throws Exception {
        JobOrdersApi jobOrders = new JobOrdersApi(herning);
        JobOrdersApi.APIListJobOrdersRequest request =
                JobOrdersApi.APIListJobOrdersRequest.newBuilder().owner("0671").status("open").build();
        for (int left = TRIES; left > 0; left--) {
            for (JobOrderItem item : jobOrders.listJobOrders(request).getJobOrders()) {
                if (item.getJobOrderId().equals("java-1001")) {
                    return item;
                }
            }
            Thread.sleep(100);
        }
        throw new IllegalStateException("Herning does not see the order.");
    }

    /** What a client does about a refusal: it decides by `type`, and by `retryable`. */
    private String adviceFor(JobOrderEvent event) throws Exception {
        try {
            publish(event);
        } catch (ApiException refused) {
            Problem problem =
                    ApiClient.createDefaultObjectMapper().readValue(refused.getResponseBody(), Problem.class);
            return switch (problem.getType()) {
                case "/problems/schema-violation" -> "mend " + problem.getErrors().stream()
                        .map(ProblemErrorsInner::getPointer)
                        .collect(Collectors.joining(", "));
                case "/problems/conflict" -> "give it a new id";
                default -> problem.getRetryable() ? "try again" : "ask somebody";
            };
        }
        throw new IllegalStateException("It was not refused.");
    }

    private static JobOrderEvent event(String id, JobOrder order) {
        return new JobOrderEvent()
                .specversion(JobOrderEvent.SpecversionEnum.fromValue("1.0"))
                .id(id)
                .source("urn:kommunebro:0671:java")
                .type(JobOrderEvent.TypeEnum.fromValue("dk.kommunebro.job-order"))
                .subject(order.getJobOrderId())
                .time(TIME)
                .dataschema(JobOrderEvent.DataschemaEnum.fromValue("urn:kommunebro:schema:job-order:1.0"))
                .data(order);
    }

    private static JobOrder order(int positions) {
        return new JobOrder()
                .jobOrderId("java-1001")
                .status(JobOrder.StatusEnum.OPEN)
                .company(new Company().cvr("93100018").name("Vestjysk Staldinventar A/S").municipality("0671"))
                .title("3 klejnsmede til staldinventar")
                .occupation(new Occupation().label("Klejnsmed"))
                .positions(positions)
                .employmentTypes(List.of(EmploymentType.ORDINARY))
                .workplace(new Workplace().municipality("0671").city("Struer"))
                .applyVia(JobOrder.ApplyViaEnum.CONSULTANT)
                .consultant(new Consultant()
                        .name("Jens Ove Ramskov")
                        .unit("Jobcenter Struer")
                        .phone("+45 00 00 11 04"))
                .employerAgreed(JobOrder.EmployerAgreedEnum.NAMED)
                .sharing(new Sharing().scope(Sharing.ScopeEnum.ALLIANCES).alliances(List.of("vestalliancen")))
                .registeredAt(TIME);
    }
}
